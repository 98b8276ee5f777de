package world

import (
	"strconv"
	"time"

	"hemostat/sim/event"
)

// begin starts an event of this kind on a host, or returns nil when no sensor
// collects it there or the sensor loses it. Whatever happens, the actor's count
// moves by one, so that its later events keep their ids.
func (w *World) begin(now time.Duration, kind *event.Kind, h *Host, a *Actor, fields int) *event.Event {
	id := uint64(a.index)<<32 | uint64(a.next)
	a.next++
	w.now = now
	sensor := h.sensors[kind.Channel]
	if w.silent || sensor == nil || !h.Agent && onHost(kind.Channel) {
		return nil
	}
	draws := sensor.draws.At(id)
	if draws.Bool(sensor.Loss) || onHost(kind.Channel) && sensor.rotating(h, now) {
		w.dropped++
		return nil
	}
	e := w.arena.New(fields + 4)
	e.ID, e.Time, e.Observed = id, max(0, now+sensor.clockOf(h)), now+sensor.Delay.Sample(&draws)
	e.Sensor, e.Host, e.Source = sensor.Name, h.Name, kind.Source
	if kind.EventID != "" {
		e.Set(event.EventID, kind.EventID)
		e.Set(event.LogChannel, kind.Log)
		e.Set(event.ProviderName, kind.Provider)
		e.Set(event.Computer, h.FQDN)
	}
	return e
}

// unwatched tells that no sensor collects a part of the audit on a host, and counts the
// events that are spared by it, so that later ones keep their ids.
func (w *World) unwatched(h *Host, c event.Channel, a *Actor, events uint32) bool {
	if h.sensors[c] != nil {
		return false
	}
	a.next += events
	return true
}

// onHost tells whether a channel is collected by an agent on the host itself.
func onHost(c event.Channel) bool {
	return c != event.ChannelZeek && c != event.ChannelProxy && c != event.ChannelCloud
}

// finish hands a complete event to the sensor.
func (w *World) finish(e *event.Event, a *Actor) {
	w.events++
	if a.Label.Malicious() {
		w.ledger.Record(e.ID, a.Label, w.now) // when it was, whatever the host's clock says
	}
	w.Deliver(e)
}

// clockCache keeps the text of the current second; consecutive events mostly
// fall into the same one.
type clockCache struct {
	second int64
	text   string
}

// utc writes a virtual time as Sysmon does: 2020-09-20 16:16:06.470.
func (w *World) utc(now time.Duration) string {
	at := w.Epoch.Add(now)
	if second := at.Unix(); second != w.clock.second || w.clock.text == "" {
		w.clock = clockCache{second, at.UTC().Format("2006-01-02 15:04:05.")}
	}
	ms := at.Nanosecond() / 1e6
	return w.arena.Text(24, func(b []byte) []byte {
		b = append(b, w.clock.text...)
		return append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	})
}

// unix writes a virtual time as Zeek does, in seconds with microseconds.
func (w *World) unix(now time.Duration) string {
	at := w.Epoch.Add(now)
	return w.arena.Text(20, func(b []byte) []byte {
		b = strconv.AppendInt(b, at.Unix(), 10)
		b = append(b, '.')
		us := at.Nanosecond() / 1000
		for div := 100000; div > 0; div /= 10 {
			b = append(b, byte('0'+us/div%10))
		}
		return b
	})
}

// unique returns a number that belongs to this actor's current event and host.
func unique(a *Actor, h *Host, salt uint64) uint64 {
	z := (uint64(a.index)<<32 | uint64(a.next)) ^ h.machine ^ salt*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

const hexDigits = "0123456789abcdef"

// guid writes an identifier in the form of Sysmon's process GUIDs: machine,
// time and a counter.
func (w *World) guid(machine uint64, now time.Duration, counter uint64) string {
	at := uint64(w.Epoch.Add(now).Unix())
	return w.arena.Text(38, func(b []byte) []byte {
		b = append(b, '{')
		b = appendHex(b, machine>>32, 8)
		b = append(b, '-')
		b = appendHex(b, at>>16, 4)
		b = append(b, '-')
		b = appendHex(b, at, 4)
		b = append(b, '-')
		b = appendHex(b, counter, 4)
		b = append(b, '-')
		b = appendHex(b, counter>>16, 12)
		return append(b, '}')
	})
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, hexDigits[v>>(4*i)&15])
	}
	return b
}
