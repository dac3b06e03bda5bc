package main

// ofSecrets are the packages that may notice that a value is printed.
var ofSecrets = []string{"./shared/secret", "./shared/rotationtest", "./shared/connection"}

// secrecy: values are printed nowhere.
var secrecy = []mutation{
	{
		name: "a value prints as a string",
		rule: "P4", file: "shared/secret/secret.go", tests: ofSecrets,
		old: "func (v Value) String() string               { return Redacted }",
		new: "func (v Value) String() string               { return v.Reveal() }",
	},
	{
		name: "a value prints in a format",
		rule: "P4", file: "shared/secret/secret.go", tests: ofSecrets,
		old: "func (v Value) Format(f fmt.State, _ rune)   { fmt.Fprint(f, Redacted) }",
		new: "func (v Value) Format(f fmt.State, _ rune)   { fmt.Fprint(f, v.Reveal()) }",
	},
	{
		name: "a value prints in a log",
		rule: "P4", file: "shared/secret/secret.go", tests: ofSecrets,
		old: "func (v Value) LogValue() slog.Value         { return slog.StringValue(Redacted) }",
		new: "func (v Value) LogValue() slog.Value         { return slog.StringValue(v.Reveal()) }",
	},
	{
		name: "a value prints in JSON",
		rule: "P4", file: "shared/secret/secret.go", tests: ofSecrets,
		old: "return []byte(`\"` + Redacted + `\"`), nil }",
		new: "return json.Marshal(v.Reveal()) }",
	},
	{
		name: "a value prints in Go syntax",
		rule: "P4", file: "shared/secret/secret.go", tests: ofSecrets,
		old: "func (v Value) GoString() string             { return Redacted }",
		new: "func (v Value) GoString() string             { return v.Reveal() }",
	},
	{
		name: "what a service says is printed as it is",
		rule: "P4", file: "shared/serviceerror/answer.go", tests: []string{"./shared/serviceerror"},
		old: "\tif printable.MatchString(s) {\n\t\treturn s\n\t}\n\treturn \"\"",
		new: "\treturn s",
	},
	{
		name: "the value stays in what is known of an issue",
		rule: "P4", file: "shared/rotator/issuing.go",
		old:        "\tissued.Value = secret.Value{}\n",
		new:        "\t_ = secret.Value{}\n",
		equivalent: "No record takes the value over: clearing it keeps it from what a later version might do with an outcome.",
	},
	{
		name: "the hint is longer than what the portal shows",
		rule: "P4", file: "shared/secret/secret.go", tests: ofSecrets,
		old: "return value[:min(3, len(value))]",
		new: "return value[:min(30, len(value))]",
	},
}
