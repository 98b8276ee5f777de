package learning

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

func rundll(id int, host, line string) *event.Event {
	return started(id, host, `C:\Windows\System32\rundll32.exe`, line)
}

func TestExclusionsKeepEveryTrueAlarm(t *testing.T) {
	var true_, false_ []Alarm
	for i := range 20 {
		true_ = append(true_, Alarm{i, []*event.Event{rundll(i, fmt.Sprint("ws", i), `rundll32.exe C:\Temp\evil.dll,run`)}})
		false_ = append(false_,
			Alarm{i, []*event.Event{rundll(i, "ws1", fmt.Sprintf(`rundll32.exe C:\Program Files\Backup\agent.dll,job%d`, i))}},
			Alarm{i, []*event.Event{rundll(i, "ws2", `rundll32.exe shell32.dll,Control_RunDLL`)}})
	}
	false_ = append(false_, Alarm{99, []*event.Event{rundll(99, "ws3", `rundll32.exe C:\Temp\evil.dll,run`)}})
	found := Exclude(true_, false_)
	require.Len(t, found, 2)
	for _, x := range found {
		assert.Equal(t, 20, x.Removes)
		for _, a := range true_ {
			assert.False(t, x.Holds(a))
		}
	}
	text, err := YAML(found)
	require.NoError(t, err)
	assert.Contains(t, string(text), "filter_learned_2")
	assert.Empty(t, Exclude(true_, true_), "what true alarms have excludes nothing")
	assert.Empty(t, Exclude(nil, nil))
	assert.Empty(t, Exclude(nil, false_), "without true alarms nobody knows what they lack")
}
