package indicator

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// ErrNever marks what can never be an indicator, such as an address of a private range: it
// would match in every estate.
var ErrNever = errors.New("can never be an indicator")

// defanged undoes the forms in which indicators are written so that nobody clicks on them.
var defanged = strings.NewReplacer(
	"[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "(dot)", ".", " dot ", ".", "[:]", ":", "[://]", "://", "[/]", "/",
	"[@]", "@", "(@)", "@", "[at]", "@", "(at)", "@", `\.`, ".", "[.", ".", ".]", ".", "．", ".", "。", ".",
)

var (
	defangedScheme = regexp.MustCompile(`(?i)^(?:hxxp|h\*\*p|http|meow|fxp|ftp)(s?)(?:\[?:\]?//|://)`)
	hexadecimal    = regexp.MustCompile(`^[0-9a-fA-F]+$`)
	ja4Form        = regexp.MustCompile(`^[tqd](?:1[0-3]|s[23]|d[123]|00)[di]\d{2}\d{2}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$`)
)

// refang undoes defanging, and takes white space around away.
func refang(text string) string {
	s := strings.Trim(strings.TrimSpace(text), "\"'`<>")
	s = defanged.Replace(s)
	if m := defangedScheme.FindStringSubmatch(s); m != nil {
		scheme := "http"
		if lower := strings.ToLower(s); strings.HasPrefix(lower, "ftp") || strings.HasPrefix(lower, "fxp") {
			scheme = "ftp"
		}
		s = scheme + strings.ToLower(m[1]) + "://" + s[len(m[0]):]
	}
	return s
}

// Normalize brings a value of a kind into the normal form, in which equal things are equal
// texts. A value of another kind is an error; one that can never be an indicator is ErrNever.
func Normalize(k Kind, text string) (string, error) {
	s := strings.TrimSpace(text)
	switch k {
	case RegistryKey, ProcessPath, Account, Mutex, UserAgent: // nobody defangs these
	default:
		s = refang(text)
	}
	if s == "" {
		return "", errors.New("the value is empty")
	}
	const longest = 4096
	if len(s) > longest {
		return "", fmt.Errorf("the value is longer than %d bytes", longest)
	}
	switch k {
	case IPv4, IPv6:
		return normalAddress(k, s)
	case CIDR:
		return normalNetwork(s)
	case Domain:
		return normalDomain(s)
	case URL:
		return normalURL(s)
	case Email:
		return normalEmail(s)
	case MD5:
		return normalHash(s, 16)
	case SHA1:
		return normalHash(s, 20)
	case SHA256:
		return normalHash(s, 32)
	case JA3:
		return normalHash(s, 16)
	case JA4:
		if s = strings.ToLower(s); !ja4Form.MatchString(s) {
			return "", fmt.Errorf("%q is no JA4 fingerprint", text)
		}
		return s, nil
	case Certificate:
		bare := strings.NewReplacer(":", "", " ", "").Replace(s)
		if len(bare) == 40 {
			return normalHash(bare, 20)
		}
		return normalHash(bare, 32)
	case RegistryKey:
		return normalRegistryKey(s), nil
	case ProcessPath:
		return strings.ToLower(strings.ReplaceAll(s, "/", `\`)), nil
	case Account:
		return strings.ToLower(s), nil
	case Mutex, UserAgent: // compared letter by letter
		return s, nil
	}
	return "", fmt.Errorf("%q is no kind of indicator", k)
}

// Guess tells the kind of a value and its normal form.
func Guess(text string) (Kind, string, error) {
	s := refang(text)
	try := func(k Kind) (Kind, string, error) {
		v, err := Normalize(k, text)
		return k, v, err
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return try(CIDR)
	}
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Unmap().Is4() {
			return try(IPv4)
		}
		return try(IPv6)
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		if a.Addr().Unmap().Is4() {
			return try(IPv4)
		}
		k, v, err := Guess(a.Addr().String())
		return k, v, err
	}
	switch {
	case strings.Contains(s, "://"):
		return try(URL)
	case ja4Form.MatchString(strings.ToLower(s)):
		return try(JA4)
	case hexadecimal.MatchString(s) && len(s) == 32:
		return try(MD5)
	case hexadecimal.MatchString(s) && len(s) == 40:
		return try(SHA1)
	case hexadecimal.MatchString(s) && len(s) == 64:
		return try(SHA256)
	case strings.Contains(s, "@"):
		return try(Email)
	case strings.HasPrefix(strings.ToUpper(s), "HK"):
		return try(RegistryKey)
	case strings.Contains(s, `:\`) || strings.HasPrefix(s, `\`):
		return try(ProcessPath)
	case strings.Contains(s, "/"):
		return try(URL)
	}
	return try(Domain)
}

func normalAddress(k Kind, s string) (string, error) {
	s, _, _ = strings.Cut(s, "%")
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		if host, _, found := strings.Cut(s, ":"); found && k == IPv4 { // with a port
			a, err = netip.ParseAddr(host)
		}
	}
	if err != nil {
		return "", fmt.Errorf("%q is no address", s)
	}
	a = a.Unmap()
	if (k == IPv4) != a.Is4() {
		return "", fmt.Errorf("%s is not of the kind %s", a, k)
	}
	if why := neverAddress(a); why != "" {
		return "", fmt.Errorf("%s %w: it is %s", a, ErrNever, why)
	}
	return a.String(), nil
}

// documentation and shared ranges, beside those that netip knows (RFC 6890).
var neverRanges = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "of this network"},
	{netip.MustParsePrefix("100.64.0.0/10"), "of shared address space"},
	{netip.MustParsePrefix("192.0.0.0/24"), "of protocol assignments"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
}

// neverAddress says why an address can never be an indicator; "" when it can.
func neverAddress(a netip.Addr) string {
	switch {
	case a.IsPrivate():
		return "of a private range"
	case a.IsLoopback():
		return "of this host"
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), a.IsInterfaceLocalMulticast():
		return "of the link"
	case a.IsMulticast():
		return "multicast"
	case a.IsUnspecified():
		return "unspecified"
	}
	for _, r := range neverRanges {
		if r.prefix.Contains(a) {
			return r.why
		}
	}
	return ""
}

// The widest networks that are accepted: wider ones would match a part of the world.
const (
	widest4 = 8
	widest6 = 19
)

func normalNetwork(s string) (string, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return "", fmt.Errorf("%q is no network such as 203.0.113.0/24", s)
	}
	if a := p.Addr(); a.Is4In6() {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	p = p.Masked()
	if !p.IsValid() {
		return "", fmt.Errorf("%q is no network", s)
	}
	if why := neverAddress(p.Addr()); why != "" {
		return "", fmt.Errorf("%s %w: it is %s", p, ErrNever, why)
	}
	least := widest4
	if p.Addr().Is6() {
		least = widest6
	}
	if p.Bits() < least {
		return "", fmt.Errorf("%s %w: it holds a part of the world; /%d is the widest", p, ErrNever, least)
	}
	return p.String(), nil
}

// neverDomains are names that belong to nobody, or to everybody (RFC 6761, RFC 2606).
var neverDomains = []string{"localhost", "local", "localdomain", "internal", "invalid", "test", "arpa", "home", "lan", "corp"}

func normalDomain(s string) (string, error) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "*."), ".")
	s = strings.TrimRight(s, ".")
	ascii, err := idna.Lookup.ToASCII(strings.ReplaceAll(s, "_", "x"))
	if err == nil && strings.Contains(s, "_") { // names of services have underscores, which IDNA does not know
		ascii = strings.ToLower(s)
	}
	if err != nil {
		return "", fmt.Errorf("%q is no domain: %w", s, err)
	}
	ascii = strings.ToLower(ascii)
	if suffix, icann := publicsuffix.PublicSuffix(ascii); suffix == ascii && icann {
		return "", fmt.Errorf("%s %w: anybody may have a name below it", ascii, ErrNever)
	}
	if strings.HasPrefix(ascii, ".") || strings.Contains(ascii, "..") || len(ascii) > 253 || !strings.Contains(ascii, ".") || strings.ContainsAny(ascii, " /:@\\") {
		return "", fmt.Errorf("%q is no domain", s)
	}
	for _, never := range neverDomains {
		if ascii == never || strings.HasSuffix(ascii, "."+never) {
			return "", fmt.Errorf("%s %w: the names below %s belong to nobody", ascii, ErrNever, never)
		}
	}
	return ascii, nil
}

func normalURL(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%q is no URL", s)
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		if why := neverAddress(a.Unmap()); why != "" {
			return "", fmt.Errorf("%s %w: its address is %s", s, ErrNever, why)
		}
		host = a.Unmap().String()
		if a.Unmap().Is6() {
			host = "[" + host + "]"
		}
	} else if host, err = normalDomain(host); err != nil {
		return "", err
	}
	u.Scheme = strings.ToLower(u.Scheme)
	port := u.Port()
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		port = ""
	}
	if u.Host = host; port != "" {
		u.Host += ":" + port
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

func normalEmail(s string) (string, error) {
	s = strings.TrimPrefix(s, "mailto:")
	a, err := mail.ParseAddress(s)
	if err != nil {
		return "", fmt.Errorf("%q is no mail address", s)
	}
	name, host, _ := strings.Cut(a.Address, "@")
	if host, err = normalDomain(host); err != nil {
		return "", err
	}
	return strings.ToLower(name) + "@" + host, nil
}

func normalHash(s string, length int) (string, error) {
	s = strings.ToLower(s)
	if raw, err := hex.DecodeString(s); err != nil || len(raw) != length {
		return "", fmt.Errorf("%q is no hash of %d hexadecimal digits", s, 2*length)
	}
	if strings.Trim(s, "0") == "" || emptyFile[s] {
		return "", fmt.Errorf("%s %w: it is that of nothing", s, ErrNever)
	}
	return s, nil
}

// emptyFile are the hashes of a file without content.
var emptyFile = map[string]bool{
	"d41d8cd98f00b204e9800998ecf8427e":                                 true,
	"da39a3ee5e6b4b0d3255bfef95601890afd80709":                         true,
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": true,
}

// hives are the long names of registry hives by the short ones.
var hives = map[string]string{
	"hklm": "hkey_local_machine", "hkcu": "hkey_current_user", "hkcr": "hkey_classes_root", "hku": "hkey_users",
	"hkcc": "hkey_current_config", `\registry\machine`: "hkey_local_machine", `\registry\user`: "hkey_users",
}

func normalRegistryKey(s string) string {
	s = strings.TrimRightFunc(strings.ToLower(strings.ReplaceAll(s, "/", `\`)), func(r rune) bool { return r == '\\' || unicode.IsSpace(r) })
	for short, long := range hives {
		if rest, ok := strings.CutPrefix(s, short); ok && (rest == "" || rest[0] == '\\' || rest[0] == ':') {
			return long + strings.TrimPrefix(rest, ":")
		}
	}
	return s
}
