package analyst

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// longText is the length, in bytes, from which on a text is suspicious by itself: it may be
// meant to push the rest out of what a model reads.
const longText = 4000

// orders are forms of text that address a model rather than describe an event. They are
// looked for after fold has undone disguises.
var orders = []*regexp.Regexp{
	// English
	regexp.MustCompile(`\b(?:ignore|disregard|forget|override|bypass|skip)\b.{0,40}\b(?:previous|prior|above|earlier|all|any|your|the|these|system)\b.{0,30}\b(?:instruction|prompt|rule|direction|message|context|polic|order|guideline|alert|evidence)`),
	regexp.MustCompile(`\b(?:you are|you're|act as|pretend|behave as|role ?play|from now on|new instructions?|developer mode|jailbreak|do anything now)\b.{0,60}\b(?:now|assistant|analyst|model|ai|bot|must|should|respond|answer|instruction|mode|dan)\b`),
	regexp.MustCompile(`\b(?:classify|label|mark|treat|report|flag|rate|judge|consider|set|return|answer|output|respond|reply|say|write|print|conclude)\b.{0,50}\b(?:benign|harmless|legitimate|false positive|false alarm|not malicious|dismiss(?:ed)?|no threat|safe|whitelist(?:ed)?|authori[sz]ed|confidence|verdict)\b`),
	regexp.MustCompile(`\b(?:dismiss|close|suppress|discard|drop|whitelist|do not (?:report|raise|escalate|flag|alert)|don't (?:report|raise|escalate|flag|alert))\b.{0,40}\b(?:alert|incident|event|finding|case|this|it|ticket)\b`),
	regexp.MustCompile(`\b(?:dear|attention|note to|message (?:to|for)|instructions? (?:to|for)|hey|hello)\b.{0,20}\b(?:ai|llm|language model|model|assistant|analyst|gpt|chatgpt|claude|gemini|copilot|soc)\b`),
	regexp.MustCompile(`\b(?:system|developer|assistant) ?(?:prompt|message|override|note|instruction)`),
	regexp.MustCompile(`\bthis (?:is|was) (?:an? )?(?:authori[sz]ed|approved|sanctioned|planned|scheduled) (?:penetration|pen|red|security|test|maintenance|exercise|activity)`),
	// turns and marks of chat templates
	regexp.MustCompile(`<\|?\s*/?\s*(?:im_start|im_end|system|assistant|user|endoftext|start_header_id|end_header_id|eot_id|start_of_turn|end_of_turn|begin_of_text|channel|message)\b`),
	regexp.MustCompile(`\[/?(?:inst|sys|system)\]|<</?sys>>|</?(?:start|end)_of_turn>`),
	regexp.MustCompile(`(?:\n|\\n|\\r|#{2,})\s*#{0,4}\s*(?:system|assistant|user|human|developer|instruction)s?\s*:\s`),
	regexp.MustCompile(`(?:^|[;|"'>}\] ])(?:assistant|developer)\s*:\s`),
	regexp.MustCompile(`#{2,}\s*(?:instruction|system|response|new task|end of)`),
	regexp.MustCompile(`</?(?:data|event|events|alert|evidence|untrusted|instructions?|context|document)>`),
	// JSON that closes the answer, or gives one
	regexp.MustCompile(`["'}\]]\s*[,:}\]]\s*["'{\[]?\s*["'](?:decision|verdict|confidence|technique|reasons|role|content)["']\s*:`),
	regexp.MustCompile(`["']?(?:decision|verdict)["']?\s*[:=]\s*["']?(?:dismiss|benign|confirm|false)`),
	// other languages: German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish,
	// Russian, Ukrainian, Chinese, Japanese, Korean, Arabic, Hindi
	regexp.MustCompile(`(?:ignorier|vergiss|missachte|uberge).{0,50}(?:anweisung|regel|vorgabe|alarm|befehl|hinweis)`),
	regexp.MustCompile(`(?:ignore[zr]?|oublie[zr]?|ne tiens? pas compte|ne tenez pas compte).{0,50}(?:instruction|consigne|regle|alerte|precedent)`),
	regexp.MustCompile(`(?:ignora|ignore|olvida|omite|descarta).{0,50}(?:instruc|regla|alerta|anterior|indicacion)`),
	regexp.MustCompile(`(?:ignora|dimentica|trascura).{0,50}(?:istruzion|regol|avvis|precedent)`),
	regexp.MustCompile(`(?:ignore|esqueca|desconsidere).{0,50}(?:instruc|regra|alerta|anterior)`),
	regexp.MustCompile(`(?:negeer|vergeet).{0,50}(?:instruct|regel|melding|opdracht)`),
	regexp.MustCompile(`(?:zignoruj|ignoruj|pomin).{0,50}(?:instrukcj|polecen|alert|zasad)`),
	regexp.MustCompile(`(?:talimat|komut|uyari).{0,50}(?:yok ?say|gormezden|unut|dikkate alma)`),
	regexp.MustCompile(`(?:игнорир|проигнорир|забуд|ігнор|не обращай).{0,50}(?:инструкц|указан|правил|предупрежд|інструкц|вказівк|попередн|предыдущ)`),
	regexp.MustCompile(`(?:忽略|无视|無視|忘记|忘記|不要理会).{0,20}(?:指令|指示|说明|說明|规则|規則|提示|警报|警報|之前|以上)`),
	regexp.MustCompile(`(?:指示|命令|ルール|警告|アラート|プロンプト).{0,20}(?:無視|忘れ)`),
	regexp.MustCompile(`(?:지시|명령|규칙|경고|프롬프트).{0,20}(?:무시|잊)`),
	regexp.MustCompile(`(?:تجاهل|انس|تجاهلوا).{0,40}(?:التعليمات|الأوامر|القواعد|التنبيه|السابقة)`),
	regexp.MustCompile(`(?:निर्देश|आदेश|नियम).{0,40}(?:अनदेखा|नजरअंदाज|भूल)`),
}

// isSuspicious tells whether a text looks like an order to a model, in words, in a disguise,
// or in an encoding.
func isSuspicious(s string) bool {
	if len(s) >= longText {
		return true
	}
	if len(s) < 8 {
		return false
	}
	return looksLikeOrder(s) || hasHiddenText(s) || decodesToOrder(s, 2)
}

func looksLikeOrder(s string) bool {
	folded := fold(s)
	compact := spacedLetters.ReplaceAllStringFunc(folded, func(m string) string {
		return strings.NewReplacer(" ", "", ".", "", "-", "", "_", "").Replace(m)
	})
	separated := strings.NewReplacer("_", " ", "-", " ", ".", " ", "+", " ", "%20", " ", "/", " ").Replace(folded)
	for _, form := range orders {
		if form.MatchString(folded) || separated != folded && form.MatchString(separated) ||
			compact != folded && form.MatchString(compact) {
			return true
		}
	}
	return squeezed.MatchString(strings.NewReplacer(" ", "", "_", "", "-", "", ".", "").Replace(folded))
}

// spacedLetters are words whose letters stand apart, as in "i g n o r e".
var spacedLetters = regexp.MustCompile(`\b(?:[a-z0-9][ ._-]){4,}[a-z0-9]\b`)

// squeezed are orders without the spaces, as in names of hosts and files.
var squeezed = regexp.MustCompile(`(?:ignore|disregard|forget)(?:all|any|the|your)?(?:previous|prior|above|earlier|system)(?:instruction|prompt|rule|message|alert)` +
	`|dismissth(?:is|e)(?:alert|incident|event)|(?:mark|classify|treat)(?:this|it|alert)?as(?:benign|safe|harmless|legitimate|falsepositive)|youarenowa`)

// hasHiddenText tells whether a text holds characters that people do not see and models read:
// tags (U+E0000), or several that change the direction or have no width.
func hasHiddenText(s string) bool {
	hidden := 0
	for _, r := range s {
		switch {
		case r >= 0xE0000 && r <= 0xE007F:
			return true
		case r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x2069, r == 0xFEFF, r == 0x00AD:
			if hidden++; hidden >= 3 {
				return true
			}
		}
	}
	return false
}

// confusable are letters of other alphabets, and digits, that look like Latin ones.
var confusable = map[rune]rune{
	'а': 'a', 'в': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'ё': 'e', 'ɡ': 'g', 'һ': 'h', 'і': 'i', 'ї': 'i', 'ј': 'j', 'к': 'k', 'ӏ': 'l',
	'м': 'm', 'п': 'n', 'о': 'o', 'р': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', 'т': 't', 'и': 'u', 'ѵ': 'v', 'ԝ': 'w', 'х': 'x', 'у': 'y', 'ᴢ': 'z',
	'α': 'a', 'β': 'b', 'ϲ': 'c', 'ε': 'e', 'η': 'n', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'σ': 'o', 'τ': 't', 'υ': 'u', 'χ': 'x', 'γ': 'y',
	'ı': 'i', 'ł': 'l', 'ø': 'o', 'đ': 'd', 'ɑ': 'a', 'ɩ': 'i', 'օ': 'o', 'ս': 'u', 'ո': 'n', 'հ': 'h', 'ց': 'g', 'ѡ': 'w', 'ʏ': 'y', 'ɴ': 'n', 'ɪ': 'i',
	'ɢ': 'g', 'ʀ': 'r', 'ꜱ': 's', 'ᴏ': 'o', 'ᴇ': 'e',
}

// leet are digits and signs that stand for letters.
var leet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s")

// fold undoes disguises of a text: case, compatibility forms, accents, letters of other
// alphabets among Latin ones, invisible characters, digits in words.
func fold(s string) string {
	var b strings.Builder
	latin := 0
	for _, r := range s {
		if r < 0x250 && unicode.IsLetter(r) {
			latin++
		}
	}
	for _, r := range norm.NFKD.String(strings.ToLower(s)) {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r):
			continue
		case r >= 0x250 && latin > 0:
			if plain, ok := confusable[r]; ok {
				r = plain
			}
		case unicode.IsControl(r):
			r = '\n'
		}
		b.WriteRune(r)
	}
	folded := b.String()
	if hasLeet.MatchString(folded) {
		folded += "\n" + leet.Replace(folded)
	}
	if strings.IndexFunc(folded, func(r rune) bool { return r >= 0x400 }) >= 0 { // all letters of another alphabet
		folded += "\n" + strings.Map(func(r rune) rune {
			if plain, ok := confusable[r]; ok {
				return plain
			}
			return r
		}, folded)
	}
	return folded + "\n" + rot13(folded)
}

var hasLeet = regexp.MustCompile(`[a-z][013457@$][a-z]`)

func rot13(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return 'a' + (r-'a'+13)%26
		}
		return r
	}, s)
}

var (
	base64Part = regexp.MustCompile(`[A-Za-z0-9+/_-]{20,}={0,2}`)
	hexPart    = regexp.MustCompile(`(?:(?:\\x|0x|%)?[0-9A-Fa-f]{2}[ ,:]?){12,}`)
	hexPair    = regexp.MustCompile(`[0-9A-Fa-f]{2}`)
	escapePart = regexp.MustCompile(`(?:\\u[0-9A-Fa-f]{4}|&#x?[0-9A-Fa-f]+;)`)
)

// decodesToOrder tells whether an encoded part of a text holds an order.
func decodesToOrder(s string, depth int) bool {
	if depth == 0 {
		return false
	}
	check := func(decoded string) bool {
		return decoded != "" && isMostlyText(decoded) && (looksLikeOrder(decoded) || decodesToOrder(decoded, depth-1))
	}
	if strings.Contains(s, "%") {
		if decoded, err := url.QueryUnescape(s); err == nil && decoded != s && check(decoded) {
			return true
		}
	}
	if escapePart.MatchString(s) && check(unescape(s)) {
		return true
	}
	for _, part := range base64Part.FindAllString(s, 8) {
		bare := strings.TrimRight(part, "=")
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			raw, err := encoding.DecodeString(bare[:len(bare)-len(bare)%4*btoi(len(bare)%4 == 1)])
			if err == nil && check(wide(raw)) {
				return true
			}
		}
	}
	for _, part := range hexPart.FindAllString(s, 4) {
		var raw []byte
		for _, pair := range hexPair.FindAllString(strings.NewReplacer("0x", "", `\x`, "").Replace(part), -1) {
			raw = append(raw, unhex(pair[0])<<4|unhex(pair[1]))
		}
		if check(wide(raw)) {
			return true
		}
	}
	reversed := []rune(s)
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	return looksLikeOrder(string(reversed))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// wide reads bytes as text, also as UTF-16, as PowerShell encodes commands.
func wide(raw []byte) string {
	zeros := 0
	for i := 1; i < len(raw); i += 2 {
		if raw[i] == 0 {
			zeros++
		}
	}
	if len(raw) >= 8 && zeros*4 >= len(raw) {
		plain := make([]byte, 0, len(raw)/2)
		for i := 0; i < len(raw); i += 2 {
			plain = append(plain, raw[i])
		}
		raw = plain
	}
	return string(raw)
}

func isMostlyText(s string) bool {
	good, all := 0, 0
	for _, r := range s {
		all++
		if unicode.IsPrint(r) && r != unicode.ReplacementChar || unicode.IsSpace(r) {
			good++
		}
	}
	return all >= 8 && good*10 >= all*9
}

// unescape undoes \u and HTML escapes.
func unescape(s string) string {
	return escapePart.ReplaceAllStringFunc(s, func(m string) string {
		base, digits := 16, strings.TrimPrefix(m, `\u`)
		if strings.HasPrefix(m, "&#") {
			digits = strings.TrimSuffix(strings.TrimPrefix(m, "&#"), ";")
			if x := strings.TrimPrefix(strings.ToLower(digits), "x"); x != strings.ToLower(digits) {
				digits = x
			} else {
				base = 10
			}
		}
		n := 0
		for i := range len(digits) {
			n = n*base + int(unhex(digits[i]))
			if n > unicode.MaxRune {
				return m
			}
		}
		return string(rune(n))
	})
}
