package world

import (
	"strings"
	"time"
)

// InstallService is a service created on a host: System 7045 and Security 4697, and the
// keys that the service manager writes.
func (w *World) InstallService(now time.Duration, a *Actor, h *Host, by *Account, name, image string) {
	manager := h.System(Services, `C:\Windows\system32\services.exe`)
	key := w.arena.Join(`HKLM\System\CurrentControlSet\Services\`, name, `\`)
	w.SetRegistryValue(now, a, manager, w.arena.Join(key, "Start"), "DWORD (0x00000003)")
	w.SetRegistryValue(now, a, manager, w.arena.Join(key, "ImagePath"), image)
	w.LogBy(now, a, h, by, "System 7045", "ServiceName", name, "ImagePath", image)
	w.LogBy(now, a, h, by, "Security 4697", "ServiceName", name, "ServiceFileName", image)
	w.LogBy(now, a, h, by, "Security 4674", "ObjectServer", "SC Manager", "ObjectType", "SC_MANAGER OBJECT", "ObjectName",
		"servicesactive",
		"AccessMask", "983103", "PrivilegeList", "SeTakeOwnershipPrivilege", "ProcessName", Services.Path)
	w.LogBy(now, a, h, nil, "Security 4674", "ObjectServer", "SC Manager", "ObjectType", "SERVICE OBJECT", "ObjectName",
		name,
		"AccessMask", "983551", "PrivilegeList", "SeTakeOwnershipPrivilege", "ProcessName", Services.Path)
}

// StartService is a service that starts or stops (System 7036).
func (w *World) StartService(now time.Duration, a *Actor, h *Host, name, state string) {
	w.LogBy(now, a, h, nil, "System 7036", "param1", name, "param2", state)
}

// Task is a scheduled task.
type Task struct {
	Name, Command, Arguments string
}

// CreateTask is a scheduled task registered on a host: Security 4698, Task Scheduler 106,
// and the file and keys that the scheduler keeps it in.
func (w *World) CreateTask(now time.Duration, a *Actor, h *Host, by *Account, t Task) {
	scheduler := h.Service(ServiceSchedule)
	w.LogBy(now, a, h, by, "Security 4698", "TaskName", t.Name, "TaskContent", t.xml(w, by))
	w.LogBy(now, a, h, by, "TaskScheduler 106", "TaskName", t.Name)
	w.CreateFile(now, a, scheduler, w.arena.Join(`C:\Windows\System32\Tasks`, t.Name))
	key := w.arena.Join(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tree`, t.Name, `\`)
	w.SetRegistryValue(now, a, scheduler, w.arena.Join(key, "SD"), "Binary Data")
	w.SetRegistryValue(now, a, scheduler, w.arena.Join(key, "Id"), w.guid(h.machine, now, unique(a, h, 106)))
}

// DeleteTask is a task removed (Security 4699, Task Scheduler 141).
func (w *World) DeleteTask(now time.Duration, a *Actor, h *Host, by *Account, t Task) {
	w.LogBy(now, a, h, by, "Security 4699", "TaskName", t.Name, "TaskContent", t.xml(w, by))
	w.LogBy(now, a, h, by, "TaskScheduler 141", "TaskName", t.Name)
}

// RunTask is a task that runs: Task Scheduler 129, 100, 200, the program as a child of the
// scheduler, and 201 and 102 at its end.
func (w *World) RunTask(now time.Duration, a *Actor, h *Host, as *Account, t Task, b *Binary) *Process {
	w.LogBy(now, a, h, as, "TaskScheduler 129", "TaskName", t.Name, "Path", b.Path)
	w.LogBy(now, a, h, as, "TaskScheduler 100", "TaskName", t.Name)
	w.LogBy(now, a, h, as, "TaskScheduler 200", "TaskName", t.Name, "ActionName", b.Path)
	p := w.StartProcess(now, a, Start{
		Host: h, Account: as, Binary: b, CommandLine: strings.TrimSpace(t.Command + " " + t.Arguments),
		Parent: h.Service(ServiceSchedule),
	})
	w.LogBy(now+2*time.Second, a, h, as, "TaskScheduler 201", "TaskName", t.Name, "ActionName", b.Path)
	w.LogBy(now+2*time.Second, a, h, as, "TaskScheduler 102", "TaskName", t.Name)
	return p
}

func (t Task) xml(w *World, by *Account) string {
	return w.arena.Join(
		"<?xml version=\"1.0\" encoding=\"UTF-16\"?>\r\n<Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\r\n",
		"  <RegistrationInfo>\r\n    <Author>", w.userName(by), "</Author>\r\n    <URI>", t.Name, "</URI>\r\n  </RegistrationInfo>\r\n",
		"  <Settings>\r\n    <Hidden>false</Hidden>\r\n    <Enabled>true</Enabled>\r\n  </Settings>\r\n  <Actions Context=\"Author\">\r\n    <Exec>\r\n      <Command>",
		t.Command, "</Command>\r\n      <Arguments>", t.Arguments, "</Arguments>\r\n    </Exec>\r\n  </Actions>\r\n</Task>",
	)
}

// clearLog is a log of Windows cleared: Security 1102, or System 104 for any other.
func (w *World) clearLog(now time.Duration, a *Actor, h *Host, by *Account, log string) {
	if log == "Security" {
		w.LogBy(now, a, h, by, "Security 1102")
		return
	}
	w.LogBy(now, a, h, by, "System 104", "Channel", log)
}
