package sigma

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMembersOfArrays(t *testing.T) {
	e := start("EventID", "1")
	e.SetName("connections", `[{"protocol":"tcp","ip":"10.0.0.5","port":443},{"protocol":"udp","ip":"123.1.9.9","port":53,"tags":["a","b"]}]`)
	e.SetList("status", []string{"200", "502", "504"})
	e.SetName("one", "x")
	for rule, want := range map[string]bool{
		"  s: {'connections[any]': {protocol: udp, 'ip|cidr': 123.1.0.0/16}}":                                        true,
		"  s: {'connections[any]': {protocol: tcp, 'ip|cidr': 123.1.0.0/16}}":                                        false,
		"  s: {'connections[all]': {'port|gt': 50}}":                                                                 true,
		"  s: {'connections[all]': {protocol: tcp}}":                                                                 false,
		"  s: {'connections[none]': {protocol: icmp}}":                                                               true,
		"  s: {'connections[none]': {protocol: tcp}}":                                                                false,
		"  s: {'connections[any]': {condition: net and not tcp, net: {'ip|startswith': '1'}, tcp: {protocol: TCP}}}": true,
		"  s: {'connections[0].ip': 10.0.0.5}":                                                                       true,
		"  s: {'connections[1].ip': 10.0.0.5}":                                                                       false,
		"  s: {'connections[7].ip': 10.0.0.5}":                                                                       false,
		"  s: {'connections[any].tags': b}":                                                                          true,
		"  s: {'connections[any].tags[any]': b}":                                                                     true,
		"  s: {'status[any]|gte': 500}":                                                                              true,
		"  s: {'status[all]|gte': 500}":                                                                              false,
		"  s: {'status[any]': {condition: bad and not timeout, bad: {'.|gte': 500}, timeout: {'.': 504}}}":           true,
		"  s: {'status[2]': 504}":                                                                                    true,
		"  s: {'one[any]': x}":                                                                                       true,
		"  s: {'none[all]': x}":                                                                                      false,
		"  s: {'none[all_or_empty]': x}":                                                                             true,
		"  s: {'none[none]': x}":                                                                                     true,
		"  s: {'status|contains|all': ['50', '20']}":                                                                 true,
		"  s: {status: 502}":                                                                                         true,
		"  s: {status: 503}":                                                                                         false,
		"  s: {'status|re': '^50.$'}":                                                                                true,
		"  s: {'status|startswith': '200,5'}":                                                                        false,
	} {
		require.Equal(t, want, matches(t, rule+"\n  condition: s\n", e), rule)
	}
	_, err := Parse("r.yml", []byte("title: t\nid: a\nlogsource: {product: x}\ndetection:\n  s: {'a[any]': {condition: b, c: {d: e}}}\n  condition: s\n"))
	require.ErrorContains(t, err, `r.yml:5:29: condition "b": no selection is named "b"`)
}

func TestNumbersInAnyForm(t *testing.T) {
	for _, c := range []struct {
		rule, value string
		want        bool
	}{
		{"4625", "4625", true}, {"4625", "4625.0", true}, {"4625", "0x1211", true}, {"4625", "04625", true}, {"4625", "4626", false}, {"4625", "4625x", false},
		{"'4625'", "4625", true}, {"'4625'", "4625.0", false}, {"0x10", "16", true}, {"0x10", "0x10", true}, {"0x10", "0X10", true}, {"1.50", "1.5", true}, {"0", "", false}, {"0", "0", true}, {"-1", "-1.0", true},
	} {
		for _, field := range []string{"EventID", "LogonType", "Own Field"} {
			e := start("Image", "x")
			e.SetName(field, c.value)
			require.Equal(t, c.want, matches(t, "  s: {'"+field+"': "+c.rule+"}\n  condition: s\n", e), "%s: %s against %s", field, c.rule, c.value)
		}
	}
}

func TestAddressesWithZones(t *testing.T) {
	for rule, values := range map[string][]string{
		"fe80::/10":      {"fe80::1%12", "fe80::1%eth0", "fe80::1"},
		"fe80::1%12":     {"fe80::1", "fe80::1%7"},
		"10.0.0.5":       {"10.0.0.5", "::ffff:10.0.0.5"},
		"fe80::%eth0/10": {"fe80::1"},
	} {
		for _, v := range values {
			require.True(t, matches(t, "  s: {'SourceIp|cidr': '"+rule+"'}\n  condition: s\n", start("SourceIp", v)), "%s in %s", v, rule)
		}
		require.False(t, matches(t, "  s: {'SourceIp|cidr': '"+rule+"'}\n  condition: s\n", start("SourceIp", "192.0.2.1")))
	}
}
