package world

import (
	"slices"

	"hemostat/sim/event"
	"hemostat/sim/role"
)

// audits are the parts of the Security log that an audit policy turns on or off.
var audits = []event.Channel{
	event.ChannelProcessAudit, event.ChannelHandleAudit, event.ChannelPrivilegeAudit, event.ChannelNetworkAudit,
	event.ChannelDirectoryAudit,
}

// channelsOn lists what a sensor collects on a host. A sensor that names security and no
// part of it has the usual audit policy: process creation on all hosts but workstations,
// and the directory's changes. One that names system has the logs of Windows' services.
func (s *SensorSpec) channelsOn(h *Host) []event.Channel {
	var out []event.Channel
	for _, name := range s.Channels {
		channel, _ := event.ChannelByName(name) // checked by ParseSpec
		out = append(out, channel)
	}
	own := slices.ContainsFunc(out, func(c event.Channel) bool { return slices.Contains(audits, c) })
	if slices.Contains(out, event.ChannelSecurity) && !own {
		out = append(out, event.ChannelDirectoryAudit)
		if h.Role != role.Workstation {
			out = append(out, event.ChannelProcessAudit)
		}
	}
	if slices.Contains(out, event.ChannelSystem) {
		out = append(out, event.ChannelWindowsLogs)
	}
	return out
}
