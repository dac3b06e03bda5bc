package check

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rekey/shared/app/webidentity"
)

// AWS checks template.yaml in fsys, a template of CloudFormation with SAM. The error
// joins all that is wrong with it.
func AWS(fsys fs.FS) error {
	src, err := fs.ReadFile(fsys, "template.yaml")
	if err != nil {
		return err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(src, &root); err != nil {
		return fmt.Errorf("reading the template: %w", err)
	}
	if len(root.Content) != 1 {
		return fmt.Errorf("reading the template: it is empty")
	}
	all := plain(root.Content[0])
	t := template{resources: at(all, "Resources"), parameters: at(all, "Parameters"), conditions: at(all, "Conditions"),
		outputs: at(all, "Outputs")}
	var f findings
	t.checkRole(&f)
	t.checkLambda(&f)
	t.checkLambdaSettings(&f)
	t.checkAlarms(&f)
	readme, err := fs.ReadFile(fsys, "README.md")
	f.expect(err == nil, "there is no README.md")
	t.checkOutputs(&f, string(readme))
	return f.err()
}

// template has the sections, each by name.
type template struct{ resources, parameters, conditions, outputs any }

// plain turns a node into maps, lists and strings; a short form such as !Ref X
// becomes the long one, {"Ref": "X"}.
func plain(n *yaml.Node) any {
	var v any
	switch n.Kind {
	case yaml.AliasNode:
		return plain(n.Alias)
	case yaml.MappingNode:
		m := make(map[string]any)
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(n.Content[i+1])
		}
		v = m
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, plain(c))
		}
		v = list
	default:
		v = n.Value
	}
	if short, ok := strings.CutPrefix(n.Tag, "!"); ok && !strings.HasPrefix(short, "!") {
		if short != "Ref" && short != "Condition" {
			short = "Fn::" + short
		}
		v = map[string]any{short: v}
	}
	return v
}

// at follows members into v; nil if one is missing.
func at(v any, members ...string) any {
	for _, m := range members {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[m]
	}
	return v
}

// list is v as a list: a single value stands for a list of one.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// of returns the names of the resources of a type, sorted.
func (t template) of(kind string) []string {
	var names []string
	resources, _ := t.resources.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		if at(resources[name], "Type") == kind {
			names = append(names, name)
		}
	}
	return names
}

func (t template) property(resource string, members ...string) any {
	return at(t.resources, append([]string{resource, "Properties"}, members...)...)
}

func (t template) checkRole(f *findings) {
	names := t.of("AWS::IAM::Role")
	f.expect(slices.Equal(names, []string{"Role"}), "there is not exactly one role")
	f.expect(len(t.of("AWS::IAM::Policy"))+len(t.of("AWS::IAM::ManagedPolicy")) == 0, "a policy is outside of the role")
	f.expect(t.property("Role", "ManagedPolicyArns") == nil, "the role has managed policies, which allow more")
	takers := list(t.property("Role", "AssumeRolePolicyDocument", "Statement"))
	f.expect(len(takers) == 1 && at(takers[0], "Principal", "Service") == "lambda.amazonaws.com",
		"a principal besides Lambda may take the role")
	token, log, allowed, denied := false, false, false, false
	for _, p := range list(t.property("Role", "Policies")) {
		if branches := list(at(p, "Fn::If")); len(branches) == 3 {
			p = branches[1]
		}
		for _, s := range list(at(p, "PolicyDocument", "Statement")) {
			var actions []string
			for _, a := range list(at(s, "Action")) {
				actions = append(actions, fmt.Sprint(a))
			}
			slices.Sort(actions)
			switch what := strings.Join(actions, " "); what {
			case "sts:GetWebIdentityToken":
				token = true
				t.checkTokenStatement(f, at(s, "Condition"))
			case "logs:CreateLogStream logs:PutLogEvents":
				log = true
				resource, _ := at(s, "Resource", "Fn::Sub").(string)
				f.expect(strings.HasSuffix(resource, ":log-group:/aws/lambda/${AWS::StackName}:*"), "the role may write to another log")
			case interfaces:
				own, _ := at(s, "Condition", "ArnEquals", "lambda:SourceFunctionArn", "Fn::Sub").(string)
				allowed = allowed || at(s, "Effect") == "Allow"
				denied = denied || at(s, "Effect") == "Deny" && strings.HasSuffix(own, ":function:${AWS::StackName}")
			default:
				f.expect(false, "a wrong role: it may %s", what)
			}
		}
	}
	f.expect(token, "the role may not say who it is: sts:GetWebIdentityToken is missing")
	f.expect(log, "the role may not write its log")
	f.expect(!allowed || denied, "the function's code may use the rights that Lambda needs in a VPC")
}

// interfaces are the actions by which Lambda's service connects a function to a VPC.
// Source: AWS Lambda developer guide, "Giving Lambda functions access to resources in
// an Amazon VPC".
const interfaces = "ec2:AssignPrivateIpAddresses ec2:CreateNetworkInterface ec2:DeleteNetworkInterface " +
	"ec2:DescribeNetworkInterfaces ec2:DescribeSubnets ec2:UnassignPrivateIpAddresses"

// checkTokenStatement checks for whom a token may be asked.
func (t template) checkTokenStatement(f *findings, condition any) {
	audiences := list(at(condition, "ForAllValues:StringEquals", "sts:IdentityTokenAudience"))
	f.expect(len(audiences) == 1 && audiences[0] == webidentity.Audience,
		"the role may ask for a token for another audience than %s", webidentity.Audience)
	f.expect(at(condition, "Null", "sts:IdentityTokenAudience") == "false", "the role may ask for a token without an audience")
	f.expect(at(condition, "StringEquals", "sts:SigningAlgorithm") == "RS256", "the role may ask for a token that Entra refuses")
	f.expect(at(condition, "NumericLessThanEquals", "sts:DurationSeconds") == "300",
		"the role may ask for a token that lives longer than five minutes")
}

func (t template) checkLambda(f *findings) {
	f.expect(slices.Equal(t.of("AWS::Serverless::Function"), []string{"Function"}), "there is not exactly one function")
	f.expect(t.property("Function", "Runtime") == "provided.al2023" && t.property("Function", "Handler") == "bootstrap",
		"a wrong runtime: the program needs provided.al2023 and is called bootstrap")
	uri, _ := t.property("Function", "CodeUri").(string)
	arch := list(t.property("Function", "Architectures"))
	f.expect(len(arch) == 1 && strings.HasSuffix(uri,
		fmt.Sprintf("rekey-lambda-%s.zip", map[any]string{"arm64": "arm64", "x86_64": "amd64"}[arch[0]])), "the package is for another machine")
	var timeout int
	fmt.Sscan(fmt.Sprint(t.property("Function", "Timeout")), &timeout)
	f.expect(timeout >= 600, "the function is stopped before a sweep may end: 600 seconds at least")
	f.expect(at(t.property("Function", "Role"), "Fn::GetAtt") == "Role.Arn", "the function has another role")
	f.expect(t.property("Function", "Policies") == nil, "the function's role gets more than is written here")
	f.expect(t.property("Function", "FunctionUrlConfig", "AuthType") == "NONE", "callers are asked for AWS credentials that they don't have")
	f.expect(t.property("Function", "FunctionUrlConfig", "Cors") == nil, "browsers of other sites may call")
	scheduled := false
	events, _ := t.property("Function", "Events").(map[string]any)
	for name, e := range events {
		f.expect(at(e, "Type") == "Schedule", "the event %s is none that the program knows", name)
		scheduled = scheduled || at(e, "Type") == "Schedule" && at(e, "Properties", "Schedule") == "rate(1 minute)" &&
			at(e, "Properties", "Enabled") != "false"
	}
	f.expect(scheduled, "the schedule is missing, or not every minute")
	for _, name := range t.of("AWS::Logs::LogGroup") {
		f.expect(t.property(name, "RetentionInDays") != nil, "%s keeps logs for ever", name)
	}
}

// alarms are what has to be noticed: words of the filter, and what missing data means.
var alarms = map[string]struct {
	filter  string
	words   []string
	missing string
}{
	"TimerStalled": {"SweepFilter", []string{`"sweep"`, `"ok"`}, "breaching"}, // silence is what it is about
	"RotationFailing": {"FailureFilter",
		[]string{`"step"`, `"failed"`, `"the published credential is lost"`, `"remove by hand"`, `"sign-in lost"`}, "notBreaching"},
	"CredentialExpiring": {"ExpiringFilter", []string{`"credential expires"`, "$.days <= 7"}, "notBreaching"},
}

func (t template) checkAlarms(f *findings) {
	for name, want := range alarms {
		pattern, _ := t.property(want.filter, "FilterPattern").(string)
		for _, word := range want.words {
			f.expect(strings.Contains(pattern, word), "%s does not look for %s", want.filter, word)
		}
		for i, q := range strings.Split(pattern, `"`) {
			f.expect(i%2 == 0 || slices.Contains(logged, q) || slices.Contains(words, q), "%s waits for %q, which is never written", want.filter, q)
		}
		metrics := list(t.property(want.filter, "MetricTransformations"))
		f.expect(len(metrics) == 1 && at(metrics[0], "MetricName") == t.property(name, "MetricName") && t.property(name, "MetricName") != nil,
			"the alarm %s is missing, or watches something else than %s", name, want.filter)
		f.expect(t.property(name, "TreatMissingData") == want.missing,
			"the alarm %s takes missing data for %v, not %s", name, t.property(name, "TreatMissingData"), want.missing)
		f.expect(len(list(t.property(name, "AlarmActions"))) == 1, "the alarm %s has no recipient", name)
	}
}
