package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// given are the parameters without a default, as an operator would enter them.
var given = map[string]string{
	"AzureTenantId": sample, "AzureClientId": sample, "AlertEmail": "oncall@example.com",
	"TableService": "https://rekeyst.table.core.windows.net", "KeyVaultUrl": "https://rekey-kv.vault.azure.net",
}

// byLambda is what Lambda sets besides the template.
var byLambda = map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "rekey", "AWS_REGION": "eu-central-1",
	"AWS_ACCESS_KEY_ID": "ASIA000000000000", "AWS_SECRET_ACCESS_KEY": "sample", "AWS_SESSION_TOKEN": "sample"}

// fetched is a value that CloudFormation fetches, and the parameter that names it.
var fetched = regexp.MustCompile(`^\{\{resolve:secretsmanager:\$\{(\w+)\}\}\}$`)

// checkLambdaSettings lets the program read what it would be given with nothing but what
// has to be entered, and with everything that may be; and looks at each parameter.
func (t template) checkLambdaSettings(f *findings) {
	variables, _ := t.property("Function", "Environment", "Variables").(map[string]any)
	least, all, settings := map[string]string{}, map[string]string{}, map[string]string{}
	for name, value := range byLambda {
		least[name], all[name] = value, value
	}
	users := map[string]string{} // by parameter
	for name, v := range variables {
		parameter := t.parameterOf(f, name, v)
		f.expect(users[parameter] == "", "the settings %s and %s have one parameter, %s", name, users[parameter], parameter)
		users[parameter] = name
		settings[name] = parameter
		value, ok := given[parameter]
		if all[name] = value; !ok {
			value, _ = at(t.parameters, parameter, "Default").(string)
			all[name] = samples[name]
			f.expect(value == "" || name == "REKEY_DEPLOYMENT", "the setting %s is set without being asked for", name)
			t.checkParameter(f, name, parameter)
		}
		least[name] = value
	}
	checkNames(f, settings, nil, nil)
	c, err := read(least)
	f.expect(err == nil, "with what has to be entered alone: %w", err)
	f.expect(err != nil || c.Identity.Federated.On() && c.TableURL == given["TableService"] && c.KeyVaultURL == given["KeyVaultUrl"] &&
		c.Identity.ClientID == sample,
		"the settings don't say what the parameters do")
	_, err = read(all)
	f.expect(err == nil, "with everything that may be entered: %w", err)
}

// parameterOf returns the parameter that a setting's value comes from. What is no secret
// is entered; what is one is named, and absent where it is not named.
func (t template) parameterOf(f *findings, name string, value any) string {
	if !slices.Contains(secret, name) {
		parameter, _ := at(value, "Ref").(string)
		f.expect(at(t.parameters, parameter) != nil, "the setting %s is no parameter's", name)
		return parameter
	}
	branches := list(at(value, "Fn::If"))
	if len(branches) != 3 {
		f.expect(false, "the setting %s is a secret, and would be entered as it is, or is never absent", name)
		return name
	}
	reference, _ := at(branches[1], "Fn::Sub").(string)
	m := fetched.FindStringSubmatch(reference)
	f.expect(m != nil && at(branches[2], "Ref") == "AWS::NoValue", "the setting %s is a secret, and not fetched by CloudFormation", name)
	if m == nil {
		return name
	}
	// The condition is that the same parameter is not empty.
	var equal []any
	if not := list(at(t.conditions, fmt.Sprint(branches[0]), "Fn::Not")); len(not) == 1 {
		equal = list(at(not[0], "Fn::Equals"))
	}
	f.expect(len(equal) == 2 && at(equal[0], "Ref") == m[1] && equal[1] == "",
		"the setting %s is fetched on another condition than that %s is entered", name, m[1])
	return m[1]
}

// checkParameter looks at one that may be left empty: it says whose it is, and takes
// what the program takes. One that names a secret does not take the secret itself.
func (t template) checkParameter(f *findings, name, parameter string) {
	p := at(t.parameters, parameter)
	_, optional := at(p, "Default").(string)
	f.expect(optional, "the parameter %s has to be entered, though %s may be left out", parameter, name)
	f.expect(at(p, "NoEcho") == nil, "the parameter %s hides a value that should not be entered at all", parameter)
	description, _ := at(p, "Description").(string)
	f.expect(regexp.MustCompile(`^`+name+`\b`).MatchString(description), "the description of %s does not begin with %s", parameter, name)
	takes := t.takes(f, parameter)
	if slices.Contains(secret, name) {
		arn := "arn:aws:secretsmanager:eu-central-1:000000000000:secret:rekey/sample-a1b2c3"
		f.expect(takes("") && takes("rekey/sample") && takes(arn) && takes(arn+":SecretString:::"+sample),
			"%s does not take the name of a secret", parameter)
		f.expect(!takes(samples[name]), "%s takes the secret itself", parameter)
		return
	}
	f.expect(takes(samples[name]) && (takes("") || name == "REKEY_DEPLOYMENT"), "%s does not take what %s may be", parameter, name)
}

// takes returns whether CloudFormation lets a parameter have a value.
func (t template) takes(f *findings, parameter string) func(string) bool {
	p := at(t.parameters, parameter)
	pattern, _ := at(p, "AllowedPattern").(string)
	if pattern == "" {
		pattern = ".*"
	}
	form, err := regexp.Compile(`^(` + pattern + `)$`)
	if err != nil {
		f.expect(false, "the pattern of %s can't be read: %w", parameter, err)
		return func(string) bool { return false }
	}
	allowed := list(at(p, "AllowedValues"))
	return func(value string) bool {
		return form.MatchString(value) && (len(allowed) == 0 || slices.Contains(allowed, any(value)))
	}
}

// How the README asks for outputs and gives parameters, in commands.
var (
	queried = regexp.MustCompile(`OutputKey=='(\w+)'`)
	entered = regexp.MustCompile(`"(\w+)=[$<]`)
)

// checkOutputs checks that the README's commands find what they ask for.
func (t template) checkOutputs(f *findings, readme string) {
	for _, m := range slices.Concat(queried.FindAllStringSubmatch(readme, -1), mentioned.FindAllStringSubmatch(readme, -1)) {
		f.expect(at(t.outputs, m[1]) != nil, "the README asks for the output %s, which there is not", m[1])
	}
	for _, m := range entered.FindAllStringSubmatch(readme, -1) {
		f.expect(at(t.parameters, m[1]) != nil, "the README gives the parameter %s, which there is not", m[1])
	}
	parameters, _ := t.parameters.(map[string]any)
	for name, p := range parameters {
		f.expect(at(p, "Default") != nil || strings.Contains(readme, `"`+name+`=`),
			"the README does not give the parameter %s, which has to be entered", name)
	}
}
