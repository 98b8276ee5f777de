package ingest

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// parseTime reads a time in any of the forms that logs use, as nanoseconds since the
// Unix epoch. A time without a zone counts as UTC. It reports false for what is no
// time, and for times before 1970, which no log holds.
func parseTime(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if at, ok := isoTime(text); ok {
		return at, at > 0
	}
	if at, ok := epochTime(text); ok {
		return at, true
	}
	if inner, ok := strings.CutPrefix(text, "/Date("); ok { // of .NET's older JSON
		inner, _, _ = strings.Cut(inner, ")")
		if at := strings.LastIndexAny(inner, "+-"); at > 0 {
			inner = inner[:at]
		}
		millis, err := strconv.ParseInt(inner, 10, 64)
		return time.Duration(millis) * time.Millisecond, err == nil && millis > 0 && millis < maxSeconds*1000
	}
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, text); err == nil && at.Unix() > 0 && at.Unix() < maxSeconds {
			return time.Duration(at.UnixNano()), true
		}
	}
	return 0, false
}

// timeLayouts are forms other than ISO 8601: of web servers, of exports in the
// American order, and of RFC 1123 and ctime.
var timeLayouts = []string{
	"02/Jan/2006:15:04:05 -0700",
	"1/2/2006 3:04:05 PM",
	"1/2/2006 3:04:05.999999999 PM",
	"1/2/2006 15:04:05",
	"01/02/2006 03:04:05 PM",
	"01/02/2006 03:04:05.999 PM",
	"Mon, 02 Jan 2006 15:04:05 MST",
	"Mon Jan _2 15:04:05 2006",
	"Jan _2 15:04:05 2006",
	"Jan 2, 2006 15:04:05.999999999",
	"Jan _2, 2006 @ 15:04:05.999999999",
	"2006/01/02 15:04:05",
}

// maxSeconds is about the year 2255, up to which nanoseconds fit into 64 bits.
const maxSeconds = 9_000_000_000

// epochTime reads a count since the Unix epoch in seconds, milli-, micro- or
// nanoseconds; which one follows from its size.
func epochTime(text string) (time.Duration, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(whole) < 9 || len(whole) > 19 {
		return 0, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n <= 0 {
		if strings.ContainsAny(text, "eE") {
			seconds, err := strconv.ParseFloat(text, 64)
			if err == nil && seconds > 0 && seconds < maxSeconds {
				return time.Duration(math.Round(seconds * 1e9)), true
			}
		}
		return 0, false
	}
	unit := time.Second
	switch {
	case n < maxSeconds:
	case n < maxSeconds*1e3:
		unit = time.Millisecond
	case n < maxSeconds*1e6:
		unit = time.Microsecond
	default:
		unit = time.Nanosecond
	}
	at := time.Duration(n) * unit
	scale := unit
	for i := 0; i < len(fraction) && scale >= 10; i++ {
		if fraction[i] < '0' || fraction[i] > '9' {
			return 0, false
		}
		scale /= 10
		at += time.Duration(fraction[i]-'0') * scale
	}
	return at, true
}

// isoTime reads YYYY-MM-DD, a T or a space, hh:mm[:ss[.fraction]], and a zone: none,
// Z, or an offset of hours with or without minutes, colon and space.
func isoTime(s string) (time.Duration, bool) {
	if len(s) < 16 || s[10] != 'T' && s[10] != 't' && s[10] != ' ' {
		return 0, false
	}
	days, ok := isoDate(s[:10])
	hour, ok1 := digits(s[11:13])
	minute, ok2 := digits(s[14:16])
	if !ok || !ok1 || !ok2 || s[13] != ':' || hour > 23 || minute > 59 {
		return 0, false
	}
	second, nanos, rest, ok := isoSeconds(s[16:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(strings.TrimLeft(rest, " "))
	if !ok {
		return 0, false
	}
	seconds := days*86400 + int64(hour*3600+minute*60+second) - offset
	return time.Duration(seconds)*time.Second + time.Duration(nanos), true
}

// isoDate reads YYYY-MM-DD as days since the Unix epoch.
func isoDate(s string) (int64, bool) {
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	ok := ok1 && ok2 && ok3 && s[4] == '-' && s[7] == '-'
	if !ok || year < 1970 || year > 2255 || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, false
	}
	return daysSinceEpoch(year, month, day), true
}

// isoSeconds reads :ss and a fraction, both of which may be absent.
func isoSeconds(s string) (second, nanos int, rest string, ok bool) {
	if strings.HasPrefix(s, ":") && len(s) >= 3 {
		if second, ok = digits(s[1:3]); !ok || second > 60 {
			return 0, 0, "", false
		}
		s = s[3:]
	}
	if s == "" || s[0] != '.' && s[0] != ',' {
		return second, 0, s, true
	}
	i, scale := 1, 100_000_000
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		nanos += int(s[i]-'0') * scale
		scale /= 10
		i++
	}
	return second, nanos, s[i:], i > 1
}

// zone reads a zone's offset from UTC in seconds.
func zone(s string) (int64, bool) {
	switch s {
	case "", "Z", "z", "UTC", "GMT":
		return 0, true
	}
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hours, ok := digits(s[1:3])
	minutes, rest := 0, strings.TrimPrefix(s[3:], ":")
	if ok && len(rest) >= 2 {
		minutes, ok = digits(rest[:2])
		rest = rest[2:]
	}
	if !ok || rest != "" || hours > 15 || minutes > 59 {
		return 0, false
	}
	offset := int64(hours*3600 + minutes*60)
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, true
}

// daysSinceEpoch counts days of the Gregorian calendar from 1 January 1970 (the
// algorithm of Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
func daysSinceEpoch(year, month, day int) int64 {
	if month <= 2 {
		year--
	}
	era := year / 400
	ofEra := year - era*400
	shifted := (month + 9) % 12
	ofYear := (153*shifted+2)/5 + day - 1
	return int64(era*146097+ofEra*365+ofEra/4-ofEra/100+ofYear) - 719468
}

// zeekTime reads Zeek's time in any of its three forms: seconds with a fraction,
// milliseconds, ISO 8601. Unlike other counts it may be small.
func zeekTime(text string) (time.Duration, bool) {
	if at, ok := parseTime(text); ok {
		return at, true
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 || seconds > maxSeconds {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
