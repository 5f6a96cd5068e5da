# Creates a virtual environment and installs the libraries:
#     powershell -ExecutionPolicy Bypass -File scripts\setup_project.ps1
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")
py -3 -m venv .venv
if ($LASTEXITCODE -ne 0) { throw "Python 3.11 or later is needed, from python.org." }
.venv\Scripts\python -m pip install -r requirements.txt
if ($LASTEXITCODE -ne 0) { throw "The libraries could not be installed: the lines above say why." }
Write-Output "Ready. Let the model write:  .venv\Scripts\python scripts\generate.py"
