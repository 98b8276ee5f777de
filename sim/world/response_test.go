package world

import (
	"testing"
	"time"

	"hemostat/sim/action"

	"github.com/stretchr/testify/require"
)

func TestEvidenceAfterAWipeIsEmpty(t *testing.T) {
	w := midsize(t)
	ws := w.Host("WS001")
	on := map[string]string{"host": "WS001"}
	w.Plant(0, w.NewActor("a"), Start{Host: ws, Account: ws.Owner, Binary: PowerShell})
	require.Contains(t, w.Apply(0, act(t, 1, "forensic_analysis", on)).Detail, "found the intruder's traces")
	require.Equal(t, []string{ws.Owner.Name}, w.Apply(0, act(t, 2, "forensic_analysis", on)).Accounts)
	require.True(t, w.Apply(0, act(t, 3, "restore_from_backup", on)).Changed)
	require.Contains(t, w.Apply(0, act(t, 4, "forensic_analysis", on)).Detail, "found nothing")
	require.Contains(t, w.Apply(0, act(t, 5, "snapshot_memory", on)).Detail, "nothing suspicious")
}

func TestAutostartsHoldUntilTheyAreRemoved(t *testing.T) {
	w := midsize(t)
	ws := w.Host("WS001")
	one, two := w.AddPersistence(ws, 1, `C:\a.exe`), w.AddPersistence(ws, 1, `C:\b.exe`)
	require.True(t, w.CheckPersistence(one).OK())
	on := map[string]string{"host": "WS001"}
	require.True(t, w.Apply(time.Hour, act(t, 7, "remove_persistence", on)).Changed)
	require.Equal(t, Refusal{Reason: "persistence_removed", Action: 7, Since: time.Hour}, w.CheckPersistence(one))
	require.False(t, w.CheckPersistence(two).OK())
	require.False(t, w.Apply(0, act(t, 8, "remove_persistence", on)).Changed)
	again := w.AddPersistence(ws, 1, `C:\c.exe`)
	w.Apply(0, act(t, 9, "restore_from_backup", on))
	require.False(t, w.CheckPersistence(again).OK(), "a rebuilt host starts nothing of the attacker's")
}

func TestDisablingLeavesSessionsAndPatchingClosesHoles(t *testing.T) {
	w := midsize(t)
	ws := w.Host("WS001")
	user := ws.Owner
	i := w.Plant(0, w.NewActor("a"), Start{Host: ws, Account: user, Binary: PowerShell})
	disable := act(t, 1, "disable_account", map[string]string{"user": user.Name})
	require.True(t, w.Apply(0, disable).Changed)
	require.True(t, w.Observe(disable))
	require.True(t, w.CheckImplant(i).OK(), "the session goes on")
	require.False(t, w.MayLogOn(user, user.Generation).OK())
	require.True(t, w.Undo(1))
	require.True(t, w.MayLogOn(user, user.Generation).OK(), "the password is the same as before")
	require.False(t, w.Observe(disable))

	web := w.WithRole("web_server")[0]
	patch := act(t, 2, "patch_service", map[string]string{"host": web.Name})
	require.True(t, w.Patched(web).OK())
	require.True(t, w.Apply(0, patch).Changed)
	require.Equal(t, "patched", w.Patched(web).Reason)
	require.True(t, w.Observe(patch))
	require.False(t, w.Apply(0, patch).Changed)
}

// What can be observed is what is the case, not what was reported.
func TestObserveSeesTheEffect(t *testing.T) {
	w := midsize(t)
	isolate := act(t, 5, "isolate_host", map[string]string{"host": "WS001"})
	require.False(t, w.Observe(isolate))
	require.True(t, w.Apply(0, isolate).OK)
	require.True(t, w.Observe(isolate))
	silent := 0
	for n := range 4000 {
		s := w.Streams().Stream("test", "luck").At(uint64(n))
		if SampleAction(isolate.Request, &s).SilentFailure {
			silent++
		}
	}
	require.InDelta(t, 0.02*4000, silent, 30, "one in fifty is reported done and is not")
	for _, seconds := range []float64{300, 0} {
		s := w.Streams().Stream("test", "capture")
		require.Greater(t, SampleAction(action.Request{Kind: action.CaptureTraffic, Seconds: seconds}, &s).Latency,
			2*time.Minute)
	}
}

func act(t testing.TB, id uint64, kind action.Kind, params map[string]string) Action {
	t.Helper()
	r, err := action.Parse(kind, params)
	require.NoError(t, err)
	return Action{ID: id, Request: r}
}
