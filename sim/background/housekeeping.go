package background

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

// housekeeping is what Windows writes about itself while nobody does anything. How often is
// an assumption; what appears, and beside what, was seen in recordings of idle hosts.
var housekeeping = []struct {
	weight float64
	write  func(b *Background, a *actor, now time.Duration)
}{
	{8, credentialsRead},
	{6, scheduledTask},
	{5, serviceCycle},
	{5, records("Security 4798", "Security 4799")},
	{4, records("Security 5058", "Security 5061")},
	{3, records("WMI 5857", "WMI 5858")},
	{3, records("Security 4957", "Security 5447")},
	{3, records("Security 5154", "Security 5158", "Security 5156")},
	{2, records("Security 5152", "Security 5157")},
	{2, records("KernelIO 1", "KernelIO 2")},
	{2, updateFound},
	{2, tokenRights},
	{1, nameKept},
	{2, records("System 16", "System 98")},
	{1, records("System 10", "System 11")},
	{1, records("Security 4611")},
	{1, records("Security 5059")},
	{1, records("Security 4985")},
	{1, records("Security 4797")},
	{1, records("System 10016", "System 10005")},
	{1, records("System 1014")},
	{1, records("System 1500")},
	{1, records("System 7001", "System 7023")},
	{1, records("System 16968")},
	{1, records("System 6013", "System 1")},
	{1, records("Application 16384", "Application 1003")},
	{1, records("Application 1001", "Application 330")},
	{1, records("WindowsPowerShell 600", "PowerShell 24577")},
	{0.5, records("KernelIO 3")},
	{0.5, records("Security 5031")},
	{0.5, records("Defender 2000")},
	{0.2, records("Security 4735")},
	{0.2, records("Security 4912")},
	{0.2, records("PowerShell 4100")},
}

// weights are the weights of housekeeping alone.
var weights = func() []float64 {
	var out []float64
	for _, h := range housekeeping {
		out = append(out, h.weight)
	}
	return out
}()

// keepHouse writes one piece of housekeeping.
func (b *Background) keepHouse(a *actor, now time.Duration, s *sim.Stream) {
	housekeeping[sim.PickWeighted(s, weights)].write(b, a, now)
}

// records writes events with their usual values.
func records(ids ...string) func(*Background, *actor, time.Duration) {
	return func(b *Background, a *actor, now time.Duration) {
		p := a.host.Service(world.ServiceProfile)
		for i, id := range ids {
			b.world.Log(now+time.Duration(i)*30*time.Millisecond, a.as, p, id)
		}
	}
}

// credentialsRead is the credential manager asked by the shell of the user (5379).
func credentialsRead(b *Background, a *actor, now time.Duration) {
	p := a.host.Program(world.Explorer, `C:\Windows\Explorer.EXE`, a.host.Owner)
	b.world.Log(now, a.as, p, "Security 5379")
	b.world.Log(now, a.as, p, "Sysmon 24")
}

// scheduledTask is a task of Windows that runs and updates itself.
func scheduledTask(b *Background, a *actor, now time.Duration) {
	w, h := b.world, a.host
	t := world.Task{Name: `\Microsoft\Windows\UpdateOrchestrator\Schedule Scan`, Command: world.Usoclient.Path,
		Arguments: "StartScan"}
	w.RunTask(now, a.as, h, nil, t, world.Usoclient)
	scheduler := h.Service(world.ServiceSchedule)
	w.Log(now+time.Second, a.as, scheduler, "Security 4702", "TaskName", t.Name)
	w.Log(now+time.Second, a.as, scheduler, "TaskScheduler 140", "TaskName", t.Name)
	w.Log(now+time.Second, a.as, scheduler, "Sysmon 26", "TargetFilename", `C:\Windows\System32\Tasks`+t.Name)
}

// serviceCycle is a service that starts on demand and stops again.
func serviceCycle(b *Background, a *actor, now time.Duration) {
	w, h := b.world, a.host
	w.StartService(now, a.as, h, "Background Intelligent Transfer Service", "running")
	w.LogBy(now+time.Second, a.as, h, nil, "System 7040")
	w.StartService(now+2*time.Minute, a.as, h, "Background Intelligent Transfer Service", "stopped")
}

// updateFound is an update fetched and its files moved into place.
func updateFound(b *Background, a *actor, now time.Duration) {
	p := a.host.Service(world.ServiceBITS)
	for i, id := range []string{"System 44", "System 43", "System 19"} {
		b.world.LogBy(now+time.Duration(i)*time.Minute, a.as, a.host, nil, id)
	}
	b.world.Log(now, a.as, p, "Sysmon 2", "TargetFilename",
		`C:\Windows\SoftwareDistribution\Download\Install\am_delta.exe`)
	b.world.Log(now, a.as, p, "Sysmon 9")
}

// nameKept is a host's own account that is brought up to date (4742), and a lasting ticket
// renewed (4770), on the controller.
func nameKept(b *Background, a *actor, now time.Duration) {
	dc := b.world.DomainController(a.host)
	if dc == nil {
		return
	}
	b.world.LogBy(now, a.as, dc, nil, "Security 4770", "TargetUserName", a.host.Name+"$")
	b.world.LogBy(now, a.as, dc, nil, "Security 4742", "TargetUserName", a.host.Name+"$", "PasswordLastSet",
		b.world.Epoch.Add(now).UTC().Format("1/2/2006 3:04:05 PM"))
}

// tokenRights is a service that turns rights on and gives a token other ones.
func tokenRights(b *Background, a *actor, now time.Duration) {
	p := a.host.Service(world.ServiceProfile)
	b.world.Log(now, a.as, p, "Security 4703", "EnabledPrivilegeList", "SeBackupPrivilege\r\n\t\t\tSeRestorePrivilege")
	b.world.Log(now, a.as, p, "Security 4673")
	b.world.Log(now, a.as, p, "Security 4670")
	b.world.Log(now, a.as, p, "Security 4674", "ObjectType", "Key", "ObjectName",
		`\REGISTRY\MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList`)
	b.world.Log(now, a.as, p, "Security 4656", "ObjectType", "Key", "ObjectName",
		`\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services`)
	b.world.Log(now, a.as, p, "Security 4663", "ObjectType", "Key", "ObjectName",
		`\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services`)
	b.world.Log(now, a.as, p, "Security 4690")
	b.world.Log(now, a.as, p, "Security 4658")
}
