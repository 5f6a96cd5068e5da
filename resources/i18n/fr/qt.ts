<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<!-- Texts of Qt's own dialogs that its French catalogue (qtbase_fr.qm) lacks.
     pyside6-lrelease resources/i18n/fr/qt.ts -qm resources/i18n/fr/qt.qm -->
<TS version="2.1" language="fr" sourcelanguage="en">
<context>
    <name>QFileDialog</name>
    <message><source>&amp;Look in:</source><translation>Cherc&amp;her dans :</translation></message>
    <message><source>Files of &amp;type:</source><translation>&amp;Type de fichiers :</translation></message>
</context>
<context>
    <name>QAbstractFileIconProvider</name>
    <message><source>File</source><translation>Fichier</translation></message>
    <message><source>%1 File</source><translation>Fichier %1</translation></message>
    <message><source>Folder</source><translation>Dossier</translation></message>
    <message><source>File Folder</source><translation>Dossier</translation></message>
    <message><source>Drive</source><translation>Lecteur</translation></message>
    <message><source>Shortcut</source><translation>Raccourci</translation></message>
    <message><source>Unknown</source><translation>Inconnu</translation></message>
</context>
</TS>
