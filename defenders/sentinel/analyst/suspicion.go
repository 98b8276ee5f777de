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

// orderForm is a form of text that addresses a model rather than describes an event.
type orderForm struct {
	// stems are texts of which the form holds one at least: the search for them is quick,
	// and most texts of events hold none.
	stems []string
	form  *regexp.Regexp
}

func order(stems, form string) orderForm {
	return orderForm{strings.Split(stems, "|"), regexp.MustCompile(form)}
}

// orders are looked for after fold has undone disguises.
var orders = []orderForm{
	// English
	order("ignor|disregard|forget|override|bypass|skip",
		`\b(?:ignore|disregard|forget|override|bypass|skip)\b.{0,40}\b(?:previous|prior|above|earlier|all|any|your|the|these|system)\b.{0,30}\b(?:instruction|prompt|rule|direction|message|context|polic|order|guideline|alert|evidence)`),
	order("you are|you're|act as|pretend|behave as|role play|roleplay|from now on|new instruction|developer mode|jailbreak|do anything now",
		`\b(?:you are|you're|act as|pretend|behave as|role ?play|from now on|new instructions?|developer mode|jailbreak|do anything now)\b.{0,60}\b(?:now|assistant|analyst|model|ai|bot|must|should|respond|answer|instruction|mode|dan)\b`),
	order("benign|harmless|legitimate|false positive|false alarm|not malicious|dismiss|no threat|safe|whitelist|authorized|authorised|confidence|verdict",
		`\b(?:classify|label|mark|treat|report|flag|rate|judge|consider|set|return|answer|output|respond|reply|say|write|print|conclude)\b.{0,50}\b(?:benign|harmless|legitimate|false positive|false alarm|not malicious|dismiss(?:ed)?|no threat|safe|whitelist(?:ed)?|authori[sz]ed|confidence|verdict)\b`),
	order("benign|harmless|false positive|not malicious",
		`\b(?:verdict|decision|conclusion|result|alert|this|it)\b.{0,12}\b(?:is|was|=|:)\s*.{0,12}\b(?:benign|harmless|an? false positive|not malicious)\b`),
	order("dismiss|suppress|discard|whitelist|do not|don't|close|drop",
		`\b(?:dismiss|close|suppress|discard|drop|whitelist|do not (?:report|raise|escalate|flag|alert)|don't (?:report|raise|escalate|flag|alert))\b.{0,40}\b(?:alert|incident|finding|ticket|this case|this event)\b`),
	order("assistant|analyst|llm|language model|gpt|claude|gemini|copilot|dear ai|dear model|dear soc|attention",
		`\b(?:dear|attention|note to|message (?:to|for)|instructions? (?:to|for)|hey|hello)\b.{0,20}\b(?:ai|llm|language model|model|assistant|analyst|gpt|chatgpt|claude|gemini|copilot|soc)\b`),
	order("system prompt|systemprompt|system override|system instruction|system note|developer prompt|developer message|developer note|assistant message|assistant prompt|assistant note|developer instruction",
		`\b(?:system|developer|assistant) ?(?:prompt|message|override|note|instruction)`),
	order("penetration|pen test|pentest|red team|security test|exercise|maintenance|authorized|authorised",
		`\bthis (?:is|was) (?:an? )?(?:authori[sz]ed|approved|sanctioned|planned|scheduled) (?:penetration|pen|red|security|test|maintenance|exercise|activity)`),
	// turns and marks of chat templates
	order("<|im_|_id|_of_turn|endoftext|begin_of_text",
		`<\|?\s*/?\s*(?:im_start|im_end|system|assistant|user|endoftext|start_header_id|end_header_id|eot_id|start_of_turn|end_of_turn|begin_of_text|channel|message)\s*(?:\||>)`),
	order("inst]|sys]|system]|<<|_of_turn", `\[/?(?:inst|sys|system)\]|<</?sys>>|</?(?:start|end)_of_turn>`),
	order("assistant|system|developer|instruction|human|user",
		`(?:\n|\\n|\\r)\s*#{0,4}\s*(?:system|assistant|developer|instruction)s?\s*:\s|#{2,}\s*(?:system|assistant|user|human|developer|instruction)s?\s*:\s`),
	order("assistant|developer", `(?:^|[;|"'>}\] ])(?:assistant|developer)\s*:\s`),
	order("##", `#{2,}\s*(?:instruction|system|response|new task|new instruction|end of)`),
	order("<", `</?(?:data|events|alert|evidence|untrusted|instructions?|context|document)>`),
	// JSON that closes the answer, or gives one
	order("decision|verdict|confidence|technique|reasons|role|content",
		`["'}\]]\s*[,:}\]]\s*["'{\[]?\s*["'](?:decision|verdict|confidence|technique|reasons|role|content)["']\s*:`),
	order("decision|verdict", `["']?(?:decision|verdict)["']?\s*[:=]\s*["']?(?:dismiss|benign|confirm|false)`),
	// other languages: German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish,
	// Russian, Ukrainian, Chinese, Japanese, Korean, Arabic, Hindi
	order("ignorier|vergiss|missachte|uberge",
		`(?:ignorier|vergiss|missachte|uberge).{0,50}(?:anweisung|regel|vorgabe|alarm|befehl|hinweis)`),
	order("ignor|oublie|tiens|tenez",
		`(?:ignore[zr]?|oublie[zr]?|ne tiens? pas compte|ne tenez pas compte).{0,50}(?:instruction|consigne|regle|alerte|precedent)`),
	order("ignor|olvid|omit|descart",
		`(?:ignora|ignore|olvid[ae]|omit[ae]|descart[ae]).{0,50}(?:instruc|regla|alerta|anterior|indicacion)`),
	order("ignora|dimentica|trascura", `(?:ignora|dimentica|trascura).{0,50}(?:istruzion|regol|avvis|precedent)`),
	order("ignor|esque|desconsider", `(?:ignor[ae]|esqueca|desconsider[ae]).{0,50}(?:instruc|regra|alerta|anterior)`),
	order("negeer|vergeet", `(?:negeer|vergeet).{0,50}(?:instruct|regel|melding|opdracht)`),
	order("ignoruj|pomin", `(?:zignoruj|ignoruj|pomin).{0,50}(?:instrukcj|polecen|alert|zasad)`),
	order("talimat|komut|uyari", `(?:talimat|komut|uyari).{0,50}(?:yok ?say|gormezden|unut|dikkate alma)`),
	order("игнор|забуд|ігнор|обращаи",
		`(?:игнорир|проигнорир|забуд|ігнор|не обращаи).{0,50}(?:инструкц|указан|правил|предупрежд|інструкц|вказівк|попередн|предыдущ)`),
	order("忽略|无视|無視|忘记|忘記|不要理会", `(?:忽略|无视|無視|忘记|忘記|不要理会).{0,20}(?:指令|指示|说明|說明|规则|規則|提示|警报|警報|之前|以上)`),
	order("無視|忘れ", `(?:指示|命令|ルール|警告|アラート|プロンプト).{0,20}(?:無視|忘れ)`),
	order("무시|잊", `(?:지시|명령|규칙|경고|프롬프트).{0,20}(?:무시|잊)`),
	order("تجاهل|انس", `(?:تجاهل|انس|تجاهلوا).{0,40}(?:التعليمات|الأوامر|القواعد|التنبيه|السابقة)`),
	order("अनदेखा|नजरअंदाज|भूल", `(?:निर्देश|आदेश|नियम).{0,40}(?:अनदेखा|नजरअंदाज|भूल)`),
}

// isOrder tells whether a folded text holds one of the forms.
func isOrder(folded string) bool {
	for i := range orders {
		for _, stem := range orders[i].stems {
			if strings.Contains(folded, stem) {
				if orders[i].form.MatchString(folded) {
					return true
				}
				break
			}
		}
	}
	return false
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
	if isOrder(folded) || isOrder(rot13(folded)) {
		return true
	}
	if separated := separators.Replace(folded); separated != folded && isOrder(separated) {
		return true
	}
	if spacedLetters.MatchString(folded) && isOrder(spacedLetters.ReplaceAllStringFunc(folded, letters.Replace)) {
		return true
	}
	return squeezed.MatchString(letters.Replace(folded))
}

var (
	separators = strings.NewReplacer("_", " ", "-", " ", ".", " ", "+", " ", "%20", " ", "/", " ")
	letters    = strings.NewReplacer(" ", "", "_", "", "-", "", ".", "")
)

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
		case r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 &&
			r <= 0x2069, r == 0xFEFF, r == 0x00AD:
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

// fold undoes disguises of a text: case, compatibility forms, accents, invisible characters;
// behind it stand, where there is something to undo, the text with digits read as letters
// and with letters of other alphabets read as the Latin ones that they look like.
func fold(s string) string {
	var b strings.Builder
	foreign := false
	for _, r := range norm.NFKD.String(strings.ToLower(s)) {
		switch {
		case r >= 0x300 && r <= 0x36F, r >= 0x64B && r <= 0x652, unicode.Is(unicode.Cf, r): // marks on letters
			continue
		case unicode.IsControl(r):
			r = '\n'
		case confusable[r] != 0:
			foreign = true
		}
		b.WriteRune(r)
	}
	folded := norm.NFC.String(b.String())
	out := folded
	if foreign {
		out += "\n" + strings.Map(func(r rune) rune {
			if plain := confusable[r]; plain != 0 {
				return plain
			}
			return r
		}, folded)
	}
	if hasLeet.MatchString(folded) {
		out += "\n" + leet.Replace(folded)
	}
	return out
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
	return isOrder(fold(string(reversed)))
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
