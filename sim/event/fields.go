package event

import "strings"

// Field numbers a field name of the table below. Names are those that published
// Sigma rules use; the number is private to a build and is never written out.
type Field uint16

// NoField is what FieldByName returns for a name outside the table.
const NoField Field = 0xffff

// The field table. An event stores fields in this order.
const (
	EventID                   Field = iota // EventID
	LogChannel                             // Channel
	ProviderName                           // Provider_Name
	Computer                               // Computer
	Image                                  // Image
	CommandLine                            // CommandLine
	CurrentDirectory                       // CurrentDirectory
	ParentImage                            // ParentImage
	ParentCommandLine                      // ParentCommandLine
	ParentUser                             // ParentUser
	OriginalFileName                       // OriginalFileName
	Description                            // Description
	Product                                // Product
	Company                                // Company
	FileVersion                            // FileVersion
	IntegrityLevel                         // IntegrityLevel
	Hashes                                 // Hashes
	LogonId                                // LogonId
	LogonGuid                              // LogonGuid
	TerminalSessionId                      // TerminalSessionId
	ProcessGuid                            // ProcessGuid
	ParentProcessGuid                      // ParentProcessGuid
	ProcessId                              // ProcessId
	ParentProcessId                        // ParentProcessId
	User                                   // User
	UtcTime                                // UtcTime
	RuleName                               // RuleName
	TargetFilename                         // TargetFilename
	CreationUtcTime                        // CreationUtcTime
	TargetObject                           // TargetObject
	Details                                // Details
	EventType                              // EventType
	ImageLoaded                            // ImageLoaded
	Signed                                 // Signed
	Signature                              // Signature
	SignatureStatus                        // SignatureStatus
	SourceImage                            // SourceImage
	TargetImage                            // TargetImage
	GrantedAccess                          // GrantedAccess
	CallTrace                              // CallTrace
	SourceProcessId                        // SourceProcessId
	TargetProcessId                        // TargetProcessId
	SourceProcessGUID                      // SourceProcessGUID
	TargetProcessGUID                      // TargetProcessGUID
	SourceThreadId                         // SourceThreadId
	SourceUser                             // SourceUser
	TargetUser                             // TargetUser
	StartAddress                           // StartAddress
	StartModule                            // StartModule
	StartFunction                          // StartFunction
	NewThreadId                            // NewThreadId
	PipeName                               // PipeName
	QueryName                              // QueryName
	QueryStatus                            // QueryStatus
	QueryResults                           // QueryResults
	IsExecutable                           // IsExecutable
	Archived                               // Archived
	Protocol                               // Protocol
	Initiated                              // Initiated
	SourceIp                               // SourceIp
	SourceHostname                         // SourceHostname
	SourcePort                             // SourcePort
	SourcePortName                         // SourcePortName
	SourceIsIpv6                           // SourceIsIpv6
	DestinationIp                          // DestinationIp
	DestinationHostname                    // DestinationHostname
	DestinationPort                        // DestinationPort
	DestinationPortName                    // DestinationPortName
	DestinationIsIpv6                      // DestinationIsIpv6
	SubjectUserSid                         // SubjectUserSid
	SubjectUserName                        // SubjectUserName
	SubjectDomainName                      // SubjectDomainName
	SubjectLogonId                         // SubjectLogonId
	TargetUserSid                          // TargetUserSid
	TargetUserName                         // TargetUserName
	TargetDomainName                       // TargetDomainName
	TargetLogonId                          // TargetLogonId
	TargetSid                              // TargetSid
	LogonType                              // LogonType
	LogonProcessName                       // LogonProcessName
	AuthenticationPackageName              // AuthenticationPackageName
	WorkstationName                        // WorkstationName
	Workstation                            // Workstation
	LmPackageName                          // LmPackageName
	KeyLength                              // KeyLength
	ProcessName                            // ProcessName
	IpAddress                              // IpAddress
	IpPort                                 // IpPort
	ImpersonationLevel                     // ImpersonationLevel
	RestrictedAdminMode                    // RestrictedAdminMode
	ElevatedToken                          // ElevatedToken
	VirtualAccount                         // VirtualAccount
	TargetOutboundUserName                 // TargetOutboundUserName
	TargetOutboundDomainName               // TargetOutboundDomainName
	TransmittedServices                    // TransmittedServices
	TargetLinkedLogonId                    // TargetLinkedLogonId
	Status                                 // Status
	SubStatus                              // SubStatus
	FailureReason                          // FailureReason
	TargetServerName                       // TargetServerName
	TargetInfo                             // TargetInfo
	TargetLogonGuid                        // TargetLogonGuid
	PrivilegeList                          // PrivilegeList
	NewProcessId                           // NewProcessId
	NewProcessName                         // NewProcessName
	TokenElevationType                     // TokenElevationType
	ParentProcessName                      // ParentProcessName
	MandatoryLabel                         // MandatoryLabel
	ServiceName                            // ServiceName
	ServiceFileName                        // ServiceFileName
	ServiceType                            // ServiceType
	ServiceStartType                       // ServiceStartType
	ServiceAccount                         // ServiceAccount
	ServiceSid                             // ServiceSid
	StartType                              // StartType
	ImagePath                              // ImagePath
	AccountName                            // AccountName
	ClientProcessStartKey                  // ClientProcessStartKey
	ClientProcessId                        // ClientProcessId
	FQDN                                   // FQDN
	TaskName                               // TaskName
	TaskContent                            // TaskContent
	SamAccountName                         // SamAccountName
	DisplayName                            // DisplayName
	UserPrincipalName                      // UserPrincipalName
	HomeDirectory                          // HomeDirectory
	PasswordLastSet                        // PasswordLastSet
	AccountExpires                         // AccountExpires
	PrimaryGroupId                         // PrimaryGroupId
	OldUacValue                            // OldUacValue
	NewUacValue                            // NewUacValue
	UserAccountControl                     // UserAccountControl
	TicketOptions                          // TicketOptions
	TicketEncryptionType                   // TicketEncryptionType
	PreAuthType                            // PreAuthType
	CertIssuerName                         // CertIssuerName
	CertSerialNumber                       // CertSerialNumber
	CertThumbprint                         // CertThumbprint
	PackageName                            // PackageName
	ObjectType                             // ObjectType
	ShareName                              // ShareName
	ShareLocalPath                         // ShareLocalPath
	RelativeTargetName                     // RelativeTargetName
	AccessMask                             // AccessMask
	AccessList                             // AccessList
	AccessReason                           // AccessReason
	ObjectName                             // ObjectName
	ObjectServer                           // ObjectServer
	ScriptBlockText                        // ScriptBlockText
	ScriptBlockId                          // ScriptBlockId
	MessageNumber                          // MessageNumber
	MessageTotal                           // MessageTotal
	ScriptPath                             // Path
	Payload                                // Payload
	ContextInfo                            // ContextInfo
	Message                                // message
	SyslogPID                              // pid
	AuditType                              // type
	Syscall                                // syscall
	AuditExe                               // exe
	AuditComm                              // comm
	Arg0                                   // a0
	Arg1                                   // a1
	Arg2                                   // a2
	Arg3                                   // a3
	Arg4                                   // a4
	Arg5                                   // a5
	AuditUID                               // auid
	UID                                    // uid
	EffectiveUID                           // euid
	TTY                                    // tty
	AuditKey                               // key
	AuditSuccess                           // success
	ArgCount                               // argc
	WorkingDirectory                       // cwd
	ZeekTime                               // ts
	IDOrigHost                             // id.orig_h
	IDOrigPort                             // id.orig_p
	IDRespHost                             // id.resp_h
	IDRespPort                             // id.resp_p
	ConnProto                              // proto
	ConnService                            // service
	ConnDuration                           // duration
	OrigBytes                              // orig_bytes
	RespBytes                              // resp_bytes
	ConnState                              // conn_state
	ConnHistory                            // history
	OrigPkts                               // orig_pkts
	RespPkts                               // resp_pkts
	LocalOrig                              // local_orig
	LocalResp                              // local_resp
	DNSQuery                               // query
	QtypeName                              // qtype_name
	RcodeName                              // rcode_name
	DNSAnswers                             // answers
	Rejected                               // rejected
	TTLs                                   // TTLs
	TransID                                // trans_id
	AA                                     // AA
	RA                                     // RA
	HTTPMethod                             // method
	HTTPHost                               // host
	URI                                    // uri
	Referrer                               // referrer
	UserAgent                              // user_agent
	HTTPStatus                             // status_code
	StatusMsg                              // status_msg
	RespMimeTypes                          // resp_mime_types
	RequestBodyLen                         // request_body_len
	ResponseBodyLen                        // response_body_len
	TLSVersion                             // version
	Cipher                                 // cipher
	Curve                                  // curve
	ServerName                             // server_name
	Resumed                                // resumed
	Established                            // established
	Subject                                // subject
	Issuer                                 // issuer
	ValidationStatus                       // validation_status
	NextProtocol                           // next_protocol
	ClientCiphers                          // client_ciphers
	ClientExtensions                       // client_extensions
	JA3                                    // ja3
	JA3S                                   // ja3s
	JA4                                    // ja4
	JA4S                                   // ja4s
	JA4OriginalRaw                         // ja4_ro
	Fuid                                   // fuid
	FileSource                             // source
	MimeType                               // mime_type
	HTTPFilename                           // filename
	SeenBytes                              // seen_bytes
	TotalBytes                             // total_bytes
	MD5                                    // md5
	SHA1                                   // sha1
	SHA256                                 // sha256
	IsOrig                                 // is_orig
	TxHosts                                // tx_hosts
	RxHosts                                // rx_hosts
	Action                                 // action
	FileName                               // name
	FilePath                               // path
	FileSize                               // size
	RPCEndpoint                            // endpoint
	RPCOperation                           // operation
	NamedPipe                              // named_pipe
	RequestType                            // request_type
	KerberosClient                         // client
	ErrorMsg                               // error_msg
	Till                                   // till
	Forwardable                            // forwardable
	Renewable                              // renewable
	ClientIP                               // c-ip
	ClientURI                              // c-uri
	ClientUseragent                        // c-useragent
	ClientServerMethod                     // cs-method
	ClientServerHost                       // cs-host
	ClientServerBytes                      // cs-bytes
	ServerClientBytes                      // sc-bytes
	ServerClientStatus                     // sc-status
	ClientServerURIQuery                   // cs-uri-query
	ClientServerURIStem                    // cs-uri-stem
	ClientServerUserAgent                  // cs-user-agent
	ClientServerReferer                    // cs-referer
	ClientServerUsername                   // cs-username
	RemoteDNS                              // r-dns
	DstIP                                  // dst_ip
	SrcIP                                  // src_ip
	DstPort                                // dst_port
	ClientURIExtension                     // c-uri-extension
	ClientURIQuery                         // c-uri-query
	MissedBytes                            // missed_bytes
	OrigIPBytes                            // orig_ip_bytes
	RespIPBytes                            // resp_ip_bytes
	DNSRtt                                 // rtt
	DNSTC                                  // TC
	DNSRD                                  // RD
	DNSZ                                   // Z
	Qclass                                 // qclass
	QclassName                             // qclass_name
	Qtype                                  // qtype
	Rcode                                  // rcode
	CertChainFuids                         // cert_chain_fuids
	ClientCertChainFuids                   // client_cert_chain_fuids
	SSLHistory                             // ssl_history
	FileDepth                              // depth
	FileAnalyzers                          // analyzers
	MissingBytes                           // missing_bytes
	OverflowBytes                          // overflow_bytes
	TimedOut                               // timedout
	ConnUIDs                               // conn_uids
	TransDepth                             // trans_depth
	TimesModified                          // times.modified
	TimesAccessed                          // times.accessed
	TimesCreated                           // times.created
	TimesChanged                           // times.changed
	ShareType                              // share_type

	// NumFields is the size of the table.
	NumFields
)

var fieldNames = [NumFields]string{
	EventID:                   "EventID",
	LogChannel:                "Channel",
	ProviderName:              "Provider_Name",
	Computer:                  "Computer",
	Image:                     "Image",
	CommandLine:               "CommandLine",
	CurrentDirectory:          "CurrentDirectory",
	ParentImage:               "ParentImage",
	ParentCommandLine:         "ParentCommandLine",
	ParentUser:                "ParentUser",
	OriginalFileName:          "OriginalFileName",
	Description:               "Description",
	Product:                   "Product",
	Company:                   "Company",
	FileVersion:               "FileVersion",
	IntegrityLevel:            "IntegrityLevel",
	Hashes:                    "Hashes",
	LogonId:                   "LogonId",
	LogonGuid:                 "LogonGuid",
	TerminalSessionId:         "TerminalSessionId",
	ProcessGuid:               "ProcessGuid",
	ParentProcessGuid:         "ParentProcessGuid",
	ProcessId:                 "ProcessId",
	ParentProcessId:           "ParentProcessId",
	User:                      "User",
	UtcTime:                   "UtcTime",
	RuleName:                  "RuleName",
	TargetFilename:            "TargetFilename",
	CreationUtcTime:           "CreationUtcTime",
	TargetObject:              "TargetObject",
	Details:                   "Details",
	EventType:                 "EventType",
	ImageLoaded:               "ImageLoaded",
	Signed:                    "Signed",
	Signature:                 "Signature",
	SignatureStatus:           "SignatureStatus",
	SourceImage:               "SourceImage",
	TargetImage:               "TargetImage",
	GrantedAccess:             "GrantedAccess",
	CallTrace:                 "CallTrace",
	SourceProcessId:           "SourceProcessId",
	TargetProcessId:           "TargetProcessId",
	SourceProcessGUID:         "SourceProcessGUID",
	TargetProcessGUID:         "TargetProcessGUID",
	SourceThreadId:            "SourceThreadId",
	SourceUser:                "SourceUser",
	TargetUser:                "TargetUser",
	StartAddress:              "StartAddress",
	StartModule:               "StartModule",
	StartFunction:             "StartFunction",
	NewThreadId:               "NewThreadId",
	PipeName:                  "PipeName",
	QueryName:                 "QueryName",
	QueryStatus:               "QueryStatus",
	QueryResults:              "QueryResults",
	IsExecutable:              "IsExecutable",
	Archived:                  "Archived",
	Protocol:                  "Protocol",
	Initiated:                 "Initiated",
	SourceIp:                  "SourceIp",
	SourceHostname:            "SourceHostname",
	SourcePort:                "SourcePort",
	SourcePortName:            "SourcePortName",
	SourceIsIpv6:              "SourceIsIpv6",
	DestinationIp:             "DestinationIp",
	DestinationHostname:       "DestinationHostname",
	DestinationPort:           "DestinationPort",
	DestinationPortName:       "DestinationPortName",
	DestinationIsIpv6:         "DestinationIsIpv6",
	SubjectUserSid:            "SubjectUserSid",
	SubjectUserName:           "SubjectUserName",
	SubjectDomainName:         "SubjectDomainName",
	SubjectLogonId:            "SubjectLogonId",
	TargetUserSid:             "TargetUserSid",
	TargetUserName:            "TargetUserName",
	TargetDomainName:          "TargetDomainName",
	TargetLogonId:             "TargetLogonId",
	TargetSid:                 "TargetSid",
	LogonType:                 "LogonType",
	LogonProcessName:          "LogonProcessName",
	AuthenticationPackageName: "AuthenticationPackageName",
	WorkstationName:           "WorkstationName",
	Workstation:               "Workstation",
	LmPackageName:             "LmPackageName",
	KeyLength:                 "KeyLength",
	ProcessName:               "ProcessName",
	IpAddress:                 "IpAddress",
	IpPort:                    "IpPort",
	ImpersonationLevel:        "ImpersonationLevel",
	RestrictedAdminMode:       "RestrictedAdminMode",
	ElevatedToken:             "ElevatedToken",
	VirtualAccount:            "VirtualAccount",
	TargetOutboundUserName:    "TargetOutboundUserName",
	TargetOutboundDomainName:  "TargetOutboundDomainName",
	TransmittedServices:       "TransmittedServices",
	TargetLinkedLogonId:       "TargetLinkedLogonId",
	Status:                    "Status",
	SubStatus:                 "SubStatus",
	FailureReason:             "FailureReason",
	TargetServerName:          "TargetServerName",
	TargetInfo:                "TargetInfo",
	TargetLogonGuid:           "TargetLogonGuid",
	PrivilegeList:             "PrivilegeList",
	NewProcessId:              "NewProcessId",
	NewProcessName:            "NewProcessName",
	TokenElevationType:        "TokenElevationType",
	ParentProcessName:         "ParentProcessName",
	MandatoryLabel:            "MandatoryLabel",
	ServiceName:               "ServiceName",
	ServiceFileName:           "ServiceFileName",
	ServiceType:               "ServiceType",
	ServiceStartType:          "ServiceStartType",
	ServiceAccount:            "ServiceAccount",
	ServiceSid:                "ServiceSid",
	StartType:                 "StartType",
	ImagePath:                 "ImagePath",
	AccountName:               "AccountName",
	ClientProcessStartKey:     "ClientProcessStartKey",
	ClientProcessId:           "ClientProcessId",
	FQDN:                      "FQDN",
	TaskName:                  "TaskName",
	TaskContent:               "TaskContent",
	SamAccountName:            "SamAccountName",
	DisplayName:               "DisplayName",
	UserPrincipalName:         "UserPrincipalName",
	HomeDirectory:             "HomeDirectory",
	PasswordLastSet:           "PasswordLastSet",
	AccountExpires:            "AccountExpires",
	PrimaryGroupId:            "PrimaryGroupId",
	OldUacValue:               "OldUacValue",
	NewUacValue:               "NewUacValue",
	UserAccountControl:        "UserAccountControl",
	TicketOptions:             "TicketOptions",
	TicketEncryptionType:      "TicketEncryptionType",
	PreAuthType:               "PreAuthType",
	CertIssuerName:            "CertIssuerName",
	CertSerialNumber:          "CertSerialNumber",
	CertThumbprint:            "CertThumbprint",
	PackageName:               "PackageName",
	ObjectType:                "ObjectType",
	ShareName:                 "ShareName",
	ShareLocalPath:            "ShareLocalPath",
	RelativeTargetName:        "RelativeTargetName",
	AccessMask:                "AccessMask",
	AccessList:                "AccessList",
	AccessReason:              "AccessReason",
	ObjectName:                "ObjectName",
	ObjectServer:              "ObjectServer",
	ScriptBlockText:           "ScriptBlockText",
	ScriptBlockId:             "ScriptBlockId",
	MessageNumber:             "MessageNumber",
	MessageTotal:              "MessageTotal",
	ScriptPath:                "Path",
	Payload:                   "Payload",
	ContextInfo:               "ContextInfo",
	Message:                   "message",
	SyslogPID:                 "pid",
	AuditType:                 "type",
	Syscall:                   "syscall",
	AuditExe:                  "exe",
	AuditComm:                 "comm",
	Arg0:                      "a0",
	Arg1:                      "a1",
	Arg2:                      "a2",
	Arg3:                      "a3",
	Arg4:                      "a4",
	Arg5:                      "a5",
	AuditUID:                  "auid",
	UID:                       "uid",
	EffectiveUID:              "euid",
	TTY:                       "tty",
	AuditKey:                  "key",
	AuditSuccess:              "success",
	ArgCount:                  "argc",
	WorkingDirectory:          "cwd",
	ZeekTime:                  "ts",
	IDOrigHost:                "id.orig_h",
	IDOrigPort:                "id.orig_p",
	IDRespHost:                "id.resp_h",
	IDRespPort:                "id.resp_p",
	ConnProto:                 "proto",
	ConnService:               "service",
	ConnDuration:              "duration",
	OrigBytes:                 "orig_bytes",
	RespBytes:                 "resp_bytes",
	ConnState:                 "conn_state",
	ConnHistory:               "history",
	OrigPkts:                  "orig_pkts",
	RespPkts:                  "resp_pkts",
	LocalOrig:                 "local_orig",
	LocalResp:                 "local_resp",
	DNSQuery:                  "query",
	QtypeName:                 "qtype_name",
	RcodeName:                 "rcode_name",
	DNSAnswers:                "answers",
	Rejected:                  "rejected",
	TTLs:                      "TTLs",
	TransID:                   "trans_id",
	AA:                        "AA",
	RA:                        "RA",
	HTTPMethod:                "method",
	HTTPHost:                  "host",
	URI:                       "uri",
	Referrer:                  "referrer",
	UserAgent:                 "user_agent",
	HTTPStatus:                "status_code",
	StatusMsg:                 "status_msg",
	RespMimeTypes:             "resp_mime_types",
	RequestBodyLen:            "request_body_len",
	ResponseBodyLen:           "response_body_len",
	TLSVersion:                "version",
	Cipher:                    "cipher",
	Curve:                     "curve",
	ServerName:                "server_name",
	Resumed:                   "resumed",
	Established:               "established",
	Subject:                   "subject",
	Issuer:                    "issuer",
	ValidationStatus:          "validation_status",
	NextProtocol:              "next_protocol",
	ClientCiphers:             "client_ciphers",
	ClientExtensions:          "client_extensions",
	JA3:                       "ja3",
	JA3S:                      "ja3s",
	JA4:                       "ja4",
	JA4S:                      "ja4s",
	JA4OriginalRaw:            "ja4_ro",
	Fuid:                      "fuid",
	FileSource:                "source",
	MimeType:                  "mime_type",
	HTTPFilename:              "filename",
	SeenBytes:                 "seen_bytes",
	TotalBytes:                "total_bytes",
	MD5:                       "md5",
	SHA1:                      "sha1",
	SHA256:                    "sha256",
	IsOrig:                    "is_orig",
	TxHosts:                   "tx_hosts",
	RxHosts:                   "rx_hosts",
	Action:                    "action",
	FileName:                  "name",
	FilePath:                  "path",
	FileSize:                  "size",
	RPCEndpoint:               "endpoint",
	RPCOperation:              "operation",
	NamedPipe:                 "named_pipe",
	RequestType:               "request_type",
	KerberosClient:            "client",
	ErrorMsg:                  "error_msg",
	Till:                      "till",
	Forwardable:               "forwardable",
	Renewable:                 "renewable",
	ClientIP:                  "c-ip",
	ClientURI:                 "c-uri",
	ClientUseragent:           "c-useragent",
	ClientServerMethod:        "cs-method",
	ClientServerHost:          "cs-host",
	ClientServerBytes:         "cs-bytes",
	ServerClientBytes:         "sc-bytes",
	ServerClientStatus:        "sc-status",
	ClientServerURIQuery:      "cs-uri-query",
	ClientServerURIStem:       "cs-uri-stem",
	ClientServerUserAgent:     "cs-user-agent",
	ClientServerReferer:       "cs-referer",
	ClientServerUsername:      "cs-username",
	RemoteDNS:                 "r-dns",
	DstIP:                     "dst_ip",
	SrcIP:                     "src_ip",
	DstPort:                   "dst_port",
	ClientURIExtension:        "c-uri-extension",
	ClientURIQuery:            "c-uri-query",
	MissedBytes:               "missed_bytes",
	OrigIPBytes:               "orig_ip_bytes",
	RespIPBytes:               "resp_ip_bytes",
	DNSRtt:                    "rtt",
	DNSTC:                     "TC",
	DNSRD:                     "RD",
	DNSZ:                      "Z",
	Qclass:                    "qclass",
	QclassName:                "qclass_name",
	Qtype:                     "qtype",
	Rcode:                     "rcode",
	CertChainFuids:            "cert_chain_fuids",
	ClientCertChainFuids:      "client_cert_chain_fuids",
	SSLHistory:                "ssl_history",
	FileDepth:                 "depth",
	FileAnalyzers:             "analyzers",
	MissingBytes:              "missing_bytes",
	OverflowBytes:             "overflow_bytes",
	TimedOut:                  "timedout",
	ConnUIDs:                  "conn_uids",
	TransDepth:                "trans_depth",
	TimesModified:             "times.modified",
	TimesAccessed:             "times.accessed",
	TimesCreated:              "times.created",
	TimesChanged:              "times.changed",
	ShareType:                 "share_type",
}

var fieldByName = func() map[string]Field {
	m := make(map[string]Field, NumFields)
	for f, name := range fieldNames {
		m[name] = Field(f)
	}
	return m
}()

var byFoldedName = func() map[string]Field {
	folded := map[string]Field{}
	for f, name := range fieldNames {
		folded[strings.ToLower(name)] = Field(f)
	}
	return folded
}()

// FieldByFoldedName finds a field by its name in any case; NoField when there is none.
func FieldByFoldedName(name string) Field {
	if f, ok := byFoldedName[strings.ToLower(name)]; ok {
		return f
	}
	return NoField
}

// FieldByName finds a field by its exact name, or returns NoField.
func FieldByName(name string) Field {
	if f, ok := fieldByName[name]; ok {
		return f
	}
	return NoField
}

// String is the field's name.
func (f Field) String() string {
	if f < NumFields {
		return fieldNames[f]
	}
	return "?"
}
