; The installer of LLM Studio for Windows: for one user, without an administrator. Built by tests/windows/package.py:
;   makensis -INPUTCHARSET UTF8 -DVERSION=X.Y.Z -DSOURCE="dist/LLM Studio" -DOUTPUT=setup.exe -DICON=app.ico -DSIZE=kilobytes
; Options when it is run: /S silent, /DESKTOP=1 a shortcut on the desktop, /D=C:\folder last of all, without quotes.
; The uninstaller's: /S silent, /KEEP=1 leaves settings, logs and what was fetched for the graphics card.
; Both change nothing while the window or the command line of this folder is running; the installer then ends with 2.

; -DTARGET=amd64-unicode makes a 64-bit installer, where makensis has what that needs (Debian's has).
!ifdef TARGET
  Target ${TARGET}
!endif
Unicode true
ManifestDPIAware true
; -DFAST=1: in one minute instead of eight, and half as large again
!ifdef FAST
  SetCompressor zlib
!else
  SetCompressor /SOLID lzma
  SetCompressorDictSize 64
!endif
RequestExecutionLevel user
AllowSkipFiles off ; a file that can't be written ends it: never a mixture of two versions

!include MUI2.nsh
!include FileFunc.nsh
!include LogicLib.nsh

!define NAME "LLM Studio"
!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\${NAME}"

Name "${NAME}"
OutFile "${OUTPUT}"
InstallDir "$LOCALAPPDATA\Programs\${NAME}"
InstallDirRegKey HKCU "${UNINSTALL}" "InstallLocation"
BrandingText "${NAME} ${VERSION}"

VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "${NAME}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "${NAME}"
VIAddVersionKey "LegalCopyright" "MIT licence"

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_ABORTWARNING
!define MUI_COMPONENTSPAGE_NODESC
!define MUI_FINISHPAGE_RUN "$INSTDIR\${NAME}.exe"

!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_LICENSE "${SOURCE}\LICENCES.txt"
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_COMPONENTS
!insertmacro MUI_UNPAGE_INSTFILES

!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "French"

LangString Program ${LANG_ENGLISH} "LLM Studio"
LangString Program ${LANG_FRENCH} "LLM Studio"
LangString Shortcut ${LANG_ENGLISH} "Shortcut on the desktop"
LangString Shortcut ${LANG_FRENCH} "Raccourci sur le bureau"
LangString Running ${LANG_ENGLISH} "LLM Studio is running. Close it, then try again."
LangString Running ${LANG_FRENCH} "LLM Studio est ouvert. Fermez-le, puis réessayez."
LangString Settings ${LANG_ENGLISH} "Settings, logs, files for the graphics card (projects stay)"
LangString Settings ${LANG_FRENCH} "Réglages, journaux, fichiers pour la carte graphique (les projets restent)"

; Sets $0 to "1" where a program of this folder is running: Windows lets nobody write to a running program.
!macro LookAt PROGRAM
  ${If} ${FileExists} "$INSTDIR\${PROGRAM}"
    ClearErrors
    FileOpen $1 "$INSTDIR\${PROGRAM}" a
    ${If} ${Errors}
      StrCpy $0 "1"
    ${Else}
      FileClose $1
    ${EndIf}
  ${EndIf}
!macroend

!macro IsRunning
  StrCpy $0 ""
  !insertmacro LookAt "${NAME}.exe"
  !insertmacro LookAt "llm-studio.exe" ; which may have been training for hours
!macroend

!macro RefuseWhileRunning
  !define ID ${__LINE__}
  again_${ID}:
  !insertmacro IsRunning
  ${If} $0 == "1"
    IfSilent refuse_${ID}
    MessageBox MB_RETRYCANCEL|MB_ICONEXCLAMATION "$(Running)" IDRETRY again_${ID}
    refuse_${ID}:
    SetErrorLevel 2
    Quit
  ${EndIf}
  !undef ID
!macroend

; Only what the program has put there: the folder may hold other things of the user.
!macro RemoveProgram
  RMDir /r "$INSTDIR\_internal"
  Delete "$INSTDIR\${NAME}.exe"
  Delete "$INSTDIR\llm-studio.exe"
  Delete "$INSTDIR\LICENCES.txt"
!macroend

Section "$(Program)"
  SectionIn RO
  !insertmacro RefuseWhileRunning
  !insertmacro RemoveProgram ; of an older version, whose files this one may not have
  SetOutPath "$INSTDIR"
  File /r "${SOURCE}\*.*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  CreateShortcut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\${NAME}.exe"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "${NAME}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\${NAME}.exe"
  WriteRegStr HKCU "${UNINSTALL}" "Publisher" "${NAME}"
  WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" ${SIZE}
  WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
SectionEnd

Section /o "$(Shortcut)" OnDesktop
  CreateShortcut "$DESKTOP\${NAME}.lnk" "$INSTDIR\${NAME}.exe"
SectionEnd

Function .onInit
  ${GetParameters} $R0
  ClearErrors
  ${GetOptions} $R0 "/DESKTOP=" $R1
  ${If} $R1 == "1"
    SectionSetFlags ${OnDesktop} ${SF_SELECTED}
  ${EndIf}
FunctionEnd

Section "un.$(Program)"
  SectionIn RO
  !insertmacro RefuseWhileRunning
  !insertmacro RemoveProgram
  Delete "$INSTDIR\uninstall.exe"
  SetOutPath "$TEMP"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\${NAME}.lnk"
  Delete "$DESKTOP\${NAME}.lnk"
  DeleteRegKey HKCU "${UNINSTALL}"
SectionEnd

Section "un.$(Settings)" UnSettings
  ; never the whole folder: a user whose home is synchronised has the projects there
  Delete "$LOCALAPPDATA\${NAME}\*.json" ; preferences, and what was measured of this computer
  Delete "$LOCALAPPDATA\${NAME}\*.partial"
  Delete "$LOCALAPPDATA\${NAME}\window.new"
  Delete "$LOCALAPPDATA\${NAME}\starting.lock"
  RMDir /r "$LOCALAPPDATA\${NAME}\Logs"
  RMDir /r "$LOCALAPPDATA\${NAME}\torch"
  RMDir "$LOCALAPPDATA\${NAME}"
SectionEnd

Function un.onInit
  ${GetParameters} $R0
  ClearErrors
  ${GetOptions} $R0 "/KEEP=" $R1
  ${If} $R1 == "1"
    SectionSetFlags ${UnSettings} 0
  ${EndIf}
FunctionEnd
