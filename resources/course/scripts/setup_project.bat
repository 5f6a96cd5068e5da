@echo off
rem Creates a virtual environment and installs the libraries. Start it with a double click.
cd /d "%~dp0\.."
py -3 -m venv .venv || goto failed
.venv\Scripts\python -m pip install -r requirements.txt || goto failed
echo.
echo Ready. Let the model write:
echo     .venv\Scripts\python scripts\generate.py
pause
exit /b 0

:failed
echo.
echo That failed: the lines above say why. Python 3.11 or later is needed, from python.org.
pause
exit /b 1
