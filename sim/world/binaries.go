package world

import (
	"fmt"
	"strings"
	"time"

	"hemostat/sim"
)

// Binary is a program file with what Sysmon reports of it.
type Binary struct {
	Path         string
	OriginalName string
	Company      string
	Product      string
	Description  string
	Version      string
	Hashes       string
	Signed       bool
	lifetime     time.Duration // how long a run lasts; 0 when its end is not told
	tool         string        // the program's own name in lower case, by which its effects are known
}

// Name is the file's name without its folder.
func (b *Binary) Name() string {
	if i := strings.LastIndexAny(b.Path, `\/`); i >= 0 {
		return b.Path[i+1:]
	}
	return b.Path
}

const (
	microsoft = "Microsoft Corporation"
	windowsOS = "Microsoft® Windows® Operating System"
	winBuild  = "10.0.17763.1 (WinBuild.160101.0800)"
)

func system(path, original, description string) *Binary {
	return binary(`C:\Windows\`+path, original, microsoft, windowsOS, description, winBuild)
}

func binary(path, original, company, product, description, version string) *Binary {
	b := &Binary{
		Path: path, OriginalName: original, Company: company, Product: product, Description: description, Version: version,
		Signed: true, Hashes: hashesOf(path),
	}
	b.tool = strings.ToLower(b.Name())
	b.lifetime = lifetimes[b.tool]
	return b
}

// linux is a program with a path only.
func linux(path string) *Binary { return &Binary{Path: path, Signed: true} }

// hashesOf derives stable digests in Sysmon's form from a text; they are digests
// of nothing real.
func hashesOf(text string) string {
	word := func(n uint64) uint64 { return sim.Key(fmt.Sprintf("%s#%d", text, n)) }
	return fmt.Sprintf("SHA1=%016X%016X%08X,MD5=%016X%016X,SHA256=%016X%016X%016X%016X,IMPHASH=%016X%016X",
		word(1), word(2), uint32(word(3)), word(4), word(5), word(6), word(7), word(8), word(9), word(10), word(11))
}

// Dropped returns an unsigned program that somebody brought along.
func Dropped(path string, s *sim.Stream) *Binary {
	b := &Binary{Path: path, OriginalName: "-", Company: "-", Product: "-", Description: "-", Version: "-"}
	b.Hashes = hashesOf(fmt.Sprintf("%s/%x", path, s.Uint64()))
	return b
}

// Signed returns a program of a small vendor with a valid signature.
func Signed(path, company string) *Binary {
	return binary(path, path[strings.LastIndexByte(path, '\\')+1:], company, company, company+" program", "1.0.0.0")
}

// Renamed returns the same program under another path: name changes, version
// information and hashes do not.
func (b *Binary) Renamed(path string) *Binary {
	c := *b
	c.Path = path
	return &c
}

// The programs that background and techniques use.
var (
	Services       = system(`System32\services.exe`, "services.exe", "Services and Controller app")
	Svchost        = system(`System32\svchost.exe`, "svchost.exe", "Host Process for Windows Services")
	Lsass          = system(`System32\lsass.exe`, "lsass.exe", "Local Security Authority Process")
	Explorer       = system(`explorer.exe`, "EXPLORER.EXE", "Windows Explorer")
	Userinit       = system(`System32\userinit.exe`, "USERINIT.EXE", "Userinit Logon Application")
	Cmd            = system(`System32\cmd.exe`, "Cmd.Exe", "Windows Command Processor")
	PowerShell     = system(`System32\WindowsPowerShell\v1.0\powershell.exe`, "PowerShell.EXE", "Windows PowerShell")
	Conhost        = system(`System32\conhost.exe`, "CONHOST.EXE", "Console Window Host")
	Taskhostw      = system(`System32\taskhostw.exe`, "taskhostw.exe", "Host Process for Windows Tasks")
	RuntimeBroker  = system(`System32\RuntimeBroker.exe`, "RuntimeBroker.exe", "Runtime Broker")
	BackgroundTask = system(`System32\backgroundTaskHost.exe`, "backgroundTaskHost.exe", "Background Task Host")
	Dllhost        = system(`System32\dllhost.exe`, "dllhost.exe", "COM Surrogate")
	WmiPrvSE       = system(`System32\wbem\WmiPrvSE.exe`, "Wmiprvse.exe", "WMI Provider Host")
	WsmProvHost    = system(`System32\wsmprovhost.exe`, "wsmprovhost.exe", "Host process for WinRM plug-ins")
	Gpupdate       = system(`System32\gpupdate.exe`, "gpupdate.exe", "Microsoft Group Policy Update Utility")
	SearchProtocol = system(`System32\SearchProtocolHost.exe`, "SearchProtocolHost.exe", "Microsoft Windows Search Protocol Host")
	Mstsc          = system(`System32\mstsc.exe`, "mstsc.exe", "Remote Desktop Connection")
	Schtasks       = system(`System32\schtasks.exe`, "schtasks.exe", "Task Scheduler Configuration Tool")
	Net            = system(`System32\net.exe`, "net.exe", "Net Command")
	Nltest         = system(`System32\nltest.exe`, "nltestrk.exe", "Microsoft® Logon Server Test Utility")
	Whoami         = system(`System32\whoami.exe`, "whoami.exe", "whoami - displays logged on user information")
	Ipconfig       = system(`System32\ipconfig.exe`, "ipconfig.exe", "IP Configuration Utility")
	Quser          = system(`System32\quser.exe`, "quser.exe", "Query User Utility")
	Wmic           = system(`System32\wbem\WMIC.exe`, "wmic.exe", "WMI Commandline Utility")
	Rundll32       = system(`System32\rundll32.exe`, "RUNDLL32.EXE", "Windows host process (Rundll32)")
	Regsvr32       = system(`System32\regsvr32.exe`, "REGSVR32.EXE", "Microsoft(C) Register Server")
	Mshta          = system(`System32\mshta.exe`, "MSHTA.EXE", "Microsoft (R) HTML Application host")
	Certutil       = system(`System32\certutil.exe`, "CertUtil.exe", "CertUtil.exe")
	Bitsadmin      = system(`System32\bitsadmin.exe`, "bitsadmin.exe", "BITS administration utility")
	Vssadmin       = system(`System32\vssadmin.exe`, "VSSADMIN.EXE", "Command Line Interface for Microsoft® Volume Shadow Copy Service")
	Bcdedit        = system(`System32\bcdedit.exe`, "bcdedit.exe", "Boot Configuration Data Editor")
	Wbadmin        = system(`System32\wbadmin.exe`, "WBADMIN.EXE", "Command Line Interface for Microsoft® BLB Backup")
	Reg            = system(`System32\reg.exe`, "reg.exe", "Registry Console Tool")
	Sc             = system(`System32\sc.exe`, "sc.exe", "Service Control Manager Configuration Tool")
	Wevtutil       = system(`System32\wevtutil.exe`, "wevtutil.exe", "Eventing Command Line Utility")
	Winword        = binary(`C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE`, "WinWord.exe", microsoft, "Microsoft Office", "Microsoft Word", "16.0.14326.20404")
	Excel          = binary(`C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE`, "Excel.exe", microsoft, "Microsoft Office", "Microsoft Excel", "16.0.14326.20404")
	Outlook        = binary(`C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE`, "Outlook.exe", microsoft, "Microsoft Office", "Microsoft Outlook", "16.0.14326.20404")
	Edge           = binary(`C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe`, "msedge.exe", microsoft, "Microsoft Edge", "Microsoft Edge", "121.0.2277.128")
	Teams          = binary(`C:\Program Files\WindowsApps\MSTeams_24004.1307.2669.7070_x64__8wekyb3d8bbwe\ms-teams.exe`, "ms-teams.exe", microsoft, "Microsoft Teams", "Microsoft Teams", "24004.1307.2669.7070")
	Defender       = binary(`C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.24010.12-0\MsMpEng.exe`, "MsMpEng.exe", microsoft, "Microsoft® Windows® Operating System", "Antimalware Service Executable", "4.18.24010.12")
	PsExec         = binary(`C:\Tools\PsExec64.exe`, "psexec.c", "Sysinternals - www.sysinternals.com", "Sysinternals PsExec", "Execute processes remotely", "2.43")
	PsExecSvc      = binary(`C:\Windows\PSEXESVC.exe`, "psexesvc.exe", "Sysinternals", "Sysinternals PsExec", "PsExec Service", "2.43")
	SevenZip       = binary(`C:\Program Files\7-Zip\7z.exe`, "7z.exe", "Igor Pavlov", "7-Zip", "7-Zip Console", "23.01")
	BackupAgent    = binary(`C:\Program Files\Backup\Agent\bkagent.exe`, "bkagent.exe", "Backup Vendor Ltd", "Backup Agent", "Backup Agent Service", "11.0.1.1261")
	MonitorAgent   = binary(`C:\Program Files\Monitoring\agent\monagent.exe`, "monagent.exe", "Monitoring Vendor Inc", "Monitoring Agent", "Monitoring Agent", "7.2.0.1")

	Bash      = linux("/bin/bash")
	Sshd      = linux("/usr/sbin/sshd")
	Curl      = linux("/usr/bin/curl")
	Cat       = linux("/bin/cat")
	Ls        = linux("/bin/ls")
	Uname     = linux("/bin/uname")
	Id        = linux("/usr/bin/id")
	Find      = linux("/usr/bin/find")
	Tar       = linux("/bin/tar")
	Sudo      = linux("/usr/bin/sudo")
	Crontab   = linux("/usr/bin/crontab")
	Chmod     = linux("/bin/chmod")
	Wget      = linux("/usr/bin/wget")
	Nmap      = linux("/usr/bin/nmap")
	Python    = linux("/usr/bin/python3")
	Df        = linux("/bin/df")
	Ps        = linux("/bin/ps")
	Logroll   = linux("/usr/sbin/logrotate")
	Nginx     = linux("/usr/sbin/nginx")
	Systemctl = linux("/usr/bin/systemctl")
	Rsync     = linux("/usr/bin/rsync")
)

// More programs that techniques use: those of System32, and the attackers' own.
var (
	Netsh       = system(`System32\netsh.exe`, "netsh.exe", "Network Command Shell")
	Auditpol    = system(`System32\auditpol.exe`, "AUDITPOL.EXE", "Audit Policy Program")
	Wscript     = system(`System32\wscript.exe`, "wscript.exe", "Microsoft ® Windows Based Script Host")
	Cscript     = system(`System32\cscript.exe`, "cscript.exe", "Microsoft ® Console Based Script Host")
	Msiexec     = system(`System32\msiexec.exe`, "msiexec.exe", "Windows® installer")
	Cmstp       = system(`System32\cmstp.exe`, "CMSTP.EXE", "Microsoft Connection Manager Profile Installer")
	InstallUtil = system(`Microsoft.NET\Framework64\v4.0.30319\InstallUtil.exe`, "InstallUtil.exe", ".NET Framework installation utility")
	MSBuild     = system(`Microsoft.NET\Framework64\v4.0.30319\MSBuild.exe`, "MSBuild.exe", "MSBuild.exe")
	Forfiles    = system(`System32\forfiles.exe`, "FORFILES.EXE", "ForFiles - Executes a command on selected files")
	Pcalua      = system(`System32\pcalua.exe`, "pcalua.exe", "Program Compatibility Assistant")
	Attrib      = system(`System32\attrib.exe`, "ATTRIB.EXE", "Attribute Utility")
	Icacls      = system(`System32\icacls.exe`, "iCACLS.EXE", "")
	Takeown     = system(`System32\takeown.exe`, "takeown.exe", "Takes ownership of a file")
	Cipher      = system(`System32\cipher.exe`, "CIPHER.EXE", "File Encryption Utility")
	Fsutil      = system(`System32\fsutil.exe`, "fsutil.exe", "fsutil.exe")
	Shutdown    = system(`System32\shutdown.exe`, "SHUTDOWN.EXE", "Windows Shutdown and Annotation Tool")
	Tasklist    = system(`System32\tasklist.exe`, "tasklist.exe", "Lists the current running tasks")
	Taskkill    = system(`System32\taskkill.exe`, "taskkill.exe", "Terminates Processes")
	Netstat     = system(`System32\netstat.exe`, "netstat.exe", "TCP/IP Netstat Command")
	Arp         = system(`System32\ARP.EXE`, "arp.exe", "TCP/IP Arp Command")
	Nslookup    = system(`System32\nslookup.exe`, "nslookup.exe", "nslookup")
	Ping        = system(`System32\PING.EXE`, "ping.exe", "TCP/IP Ping Command")
	Systeminfo  = system(`System32\systeminfo.exe`, "sysinfo.exe", "Displays system information")
	Hostname    = system(`System32\HOSTNAME.EXE`, "hostname.exe", "Hostname APP")
	Findstr     = system(`System32\findstr.exe`, "FINDSTR.EXE", "Find String (QGREP) Utility")
	VaultCmd    = system(`System32\VaultCmd.exe`, "VAULTCMD.EXE", "Vault cmdline Program")
	Cmdkey      = system(`System32\cmdkey.exe`, "cmdkey.exe", "Credential Manager Command Line Utility")
	Ntdsutil    = system(`System32\ntdsutil.exe`, "ntdsutil.exe", "NT5DS")
	Esentutl    = system(`System32\esentutl.exe`, "esentutl.exe", "Extensible Storage Engine Utilities for Microsoft(R) Windows(R)")
	Diskshadow  = system(`System32\diskshadow.exe`, "diskshadow.exe", "DiskShadow")
	Net1        = system(`System32\net1.exe`, "net1.exe", "Net Command")
	Gpresult    = system(`System32\gpresult.exe`, "gprslt.exe", "Query Group Policy RSOP Data")
	Dsquery     = system(`System32\dsquery.exe`, "dsquery.exe", "Microsoft AD DS/LDS query command line utility")
	W32tm       = system(`System32\w32tm.exe`, "w32time.dll", "Windows Time Service Diagnostic Tool")
	Tscon       = system(`System32\tscon.exe`, "tscon.exe", "Session Connection Utility")
	Mofcomp     = system(`System32\wbem\mofcomp.exe`, "mofcomp.exe", "The Managed Object Format (MOF) Compiler")
	Clip        = system(`System32\clip.exe`, "clip.exe", "Clip - copies the data into clipboard")
	Psr         = system(`System32\psr.exe`, "psr.exe", "Problem Steps Recorder")
	Usoclient   = system(`System32\UsoClient.exe`, "UsoClient.exe", "UsoClient")
	Robocopy    = system(`System32\Robocopy.exe`, "robocopy.exe", "Microsoft Robocopy")
	Xcopy       = system(`System32\xcopy.exe`, "XCOPY.EXE", "Extended Copy Utility")
	Ftp         = system(`System32\ftp.exe`, "ftp.exe", "File Transfer Program")
	Curlexe     = system(`System32\curl.exe`, "curl.exe", "The curl executable")
	Sethc       = system(`System32\sethc.exe`, "sethc.exe", "Accessibility shortcut keys")
	Winlogon    = system(`System32\winlogon.exe`, "WINLOGON.EXE", "Windows Logon Application")
	Spoolsv     = system(`System32\spoolsv.exe`, "spoolsv.exe", "Spooler SubSystem App")
	Notepad     = system(`System32\notepad.exe`, "NOTEPAD.EXE", "Notepad")
	Mmc         = system(`System32\mmc.exe`, "mmc.exe", "Microsoft Management Console")
	Makecab     = system(`System32\makecab.exe`, "makecab.exe", "Microsoft® Cabinet Maker")
	Chrome      = binary(`C:\Program Files\Google\Chrome\Application\chrome.exe`, "chrome.exe", "Google LLC", "Google Chrome", "Google Chrome", "121.0.6167.85")
	W3wp        = system(`System32\inetsrv\w3wp.exe`, "w3wp.exe", "IIS Worker Process")
	Sqlservr    = binary(`C:\Program Files\Microsoft SQL Server\MSSQL15.MSSQLSERVER\MSSQL\Binn\sqlservr.exe`, "SQLSERVR.EXE", microsoft, "Microsoft SQL Server", "SQL Server Windows NT", "2019.0150.2000.05")
	Updater     = binary(`C:\Program Files\Network Viewer\NetViewUpdate.exe`, "NetViewUpdate.exe", "Network Viewer Ltd", "Network Viewer", "Network Viewer Update Service", "5.2.1.0")

	Chattr   = linux("/usr/bin/chattr")
	Useradd  = linux("/usr/sbin/useradd")
	Usermod  = linux("/usr/sbin/usermod")
	SSH      = linux("/usr/bin/ssh")
	SCP      = linux("/usr/bin/scp")
	Insmod   = linux("/sbin/insmod")
	Tcpdump  = linux("/usr/sbin/tcpdump")
	Netcat   = linux("/bin/nc")
	Socat    = linux("/usr/bin/socat")
	DD       = linux("/bin/dd")
	Shred    = linux("/usr/bin/shred")
	RM       = linux("/bin/rm")
	Touch    = linux("/bin/touch")
	CP       = linux("/bin/cp")
	Grep     = linux("/bin/grep")
	Pkill    = linux("/usr/bin/pkill")
	Iptables = linux("/usr/sbin/iptables")
	UFW      = linux("/usr/sbin/ufw")
	Getent   = linux("/usr/bin/getent")
	SS       = linux("/usr/bin/ss")
	IfConfig = linux("/sbin/ifconfig")
	Pkexec   = linux("/usr/bin/pkexec")
	Base64   = linux("/usr/bin/base64")
	Dig      = linux("/usr/bin/dig")
	W        = linux("/usr/bin/w")
	Ln       = linux("/bin/ln")
	Truncate = linux("/usr/bin/truncate")
	PHPFPM   = linux("/usr/sbin/php-fpm")
	Apache   = linux("/usr/sbin/apache2")
	Sysctl   = linux("/usr/sbin/sysctl")
	Hist     = linux("/bin/bash")
)

// UnixProgram is a program of a Unix host by its path.
func UnixProgram(path string) *Binary { return linux(path) }

// InWindows is a program of Windows' own folder.
func InWindows(name, original, description string) *Binary {
	return system(name, original, description)
}

// InSystem32 is a program of Windows' system folder.
func InSystem32(name, original, description string) *Binary {
	return system(`System32\`+name, original, description)
}
