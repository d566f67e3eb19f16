"""What users run today, rebuilt from its published behaviour, to be measured against the same devices as our program.

Each class is one published program with its default settings. Where a default would feed the grid on purpose or makes
the programs incomparable, the line says what stands instead: all three aim at 25 W of import, and none acts within 25 W
but the original, whose own band is 10 W. Told are the regulators, and the questions they ask at the moments at which
they ask them: no outages, night, battery or temperature. Each inverter's maximum is its share of the cap by rated
power, as users of programs without a cap configure it.

Sources: github.com/hkaest/dbus-opendtu-DC-load (README, config.ini); github.com/reserve85/HoymilesZeroExport
(config.ini of 1.89, issues 28, 80 and 248); github.com/hoylabs/OpenDTU-OnBattery (defaults.h, wiki, issues 868, 1427
and 1483, pull request 872). The moments of their questions stand in their sources: dbus_shelly_service.py,
HoymilesZeroExport.py of 1.90, PowerLimiter.cpp.
"""
