"""A config.ini of the original."""

from __future__ import annotations

OLD = """\
[DEFAULT]
SignOfLifeLog = 5
# W of import
ZeroPoint = 25
MaxFeedIn=900
MinPercent = 2
MaxPercent = 90
stepsPercent = 2
consumeFilterFactor = 3
feedInFilterFactor = 0
feedInAtNegativeWattDifference = 150
DTU_loopTime = 4
DTU_statusTime = 7
ACCURACY = 10
maxTemperature = 55
Logging = ERROR
DTU = opendtu
Host = 192.168.1.51
HTTPTimeout = 2.5
Username =
Password = 50%percent;of#all
MaxAgeTsLastSuccess = 600
DryRun = 0
Colour = blue

[INVERTER0]
DeviceInstance = 134
enableSwitchOff = true

[INVERTER1]
DeviceInstance = 140

[INVERTER3]
DeviceInstance = 150

[SHELLY]
AccessType = OnPremise
Deviceinstance = 59
CustomName = Grid by Shelly
Phase = L2
Host = 192.168.1.50
Username = admin
Password =
KeepAliveURL = http://admin:hidden@192.168.1.60/relay/0?turn=on&timer=900
SwitchOffURL = http://192.168.1.60/relay/0?turn=off
Balcony = 192.168.1.61
"""
