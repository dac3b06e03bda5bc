package check

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// forms are what the provider demands of arguments that Azure's choices end up in. It
// checks them also while its resources are made up: terraform test fails then, and
// terraform validate does not. An argument that ends in _id or _ids has to be here.
//
// Source: the ValidateFunc of these arguments in hashicorp/terraform-provider-azurerm.
var forms = map[string]*regexp.Regexp{
	"tenant_id": uuid, "client_id": uuid, "principal_id": uuid, "subscription_id": uuid,

	"scope": id(""), "scopes": id(""), "target_resource_id": id(""), "private_connection_resource_id": id(""),
	"service_plan_id":                   id("Microsoft.Web/serverFarms/*"),
	"identity_ids":                      id("Microsoft.ManagedIdentity/userAssignedIdentities/*"),
	"storage_user_assigned_identity_id": id("Microsoft.ManagedIdentity/userAssignedIdentities/*"),
	"storage_account_id":                id("Microsoft.Storage/storageAccounts/*"),
	"log_analytics_workspace_id":        id("Microsoft.OperationalInsights/workspaces/*"),
	"workspace_id":                      id("Microsoft.OperationalInsights/workspaces/*"),
	"action_groups":                     id("Microsoft.Insights/actionGroups/*"),
	"action_group_id":                   id("Microsoft.Insights/actionGroups/*"),
	"virtual_network_id":                id("Microsoft.Network/virtualNetworks/*"),
	"subnet_id":                         id("Microsoft.Network/virtualNetworks/*/subnets/*"),
	"virtual_network_subnet_id":         id("Microsoft.Network/virtualNetworks/*/subnets/*"),
	"virtual_network_subnet_ids":        id("Microsoft.Network/virtualNetworks/*/subnets/*"),
	"private_dns_zone_id":               id("Microsoft.Network/privateDnsZones/*"),
	"private_dns_zone_ids":              id("Microsoft.Network/privateDnsZones/*"),

	"storage_container_endpoint":             regexp.MustCompile(`^https://[a-z0-9]{3,24}\.blob\.[a-z0-9.]+/[^/]+$`),
	"application_insights_connection_string": regexp.MustCompile(`^InstrumentationKey=[0-9a-f-]{36}`),
}

const uuidText = `[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`

var uuid = regexp.MustCompile(`^` + uuidText + `$`)

// id is the form of a resource's id: of that type, in which * is a name, or of any.
func id(kind string) *regexp.Regexp {
	if kind == "" {
		return regexp.MustCompile(`^/subscriptions/` + uuidText + `/resourceGroups/[^/]+/providers/[A-Za-z.]+(/[^/]+/[^/]+)+$`)
	}
	return regexp.MustCompile(`^/subscriptions/` + uuidText + `/resourceGroups/[^/]+/providers/` +
		strings.ReplaceAll(regexp.QuoteMeta(kind), `\*`, `[^/]+`) + `$`)
}

// checkTests plays the module's tests as far as the made-up provider's values go: each
// argument that one of them ends up in has the form that the provider demands.
func checkTests(fsys fs.FS, module []parsed, f *findings) {
	files, err := fs.Glob(fsys, "tests/*.tftest.hcl")
	f.expect(err == nil && len(files) > 0, "there are no tests")
	for _, name := range files {
		src, err := fs.ReadFile(fsys, name)
		f.expect(err == nil, "%s: %w", name, err)
		found := make(map[string]bool) // every run finds the same
		for _, text := range wrongForms(module, name, src) {
			found[text] = true
		}
		for _, text := range slices.Sorted(maps.Keys(found)) {
			f.expect(false, "%s: %s", path.Base(name), text)
		}
	}
}

func wrongForms(module []parsed, name string, src []byte) []string {
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		return []string{diags.Error()}
	}
	var wrong []string
	vars := make(map[string]cty.Value)
	var mocked map[string]string
	var runs []*hclsyntax.Body
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		switch {
		case b.Type == "variables":
			vars = literals(b.Body)
		case b.Type == "mock_provider" && b.Labels[0] == "azurerm":
			mocked = defaults(b.Body)
		case b.Type == "run" && b.Body.Attributes["expect_failures"] == nil:
			runs = append(runs, b.Body)
		}
	}
	if mocked == nil {
		return []string{"the provider is not made up, so that this needs a subscription"}
	}
	for _, run := range runs {
		given := maps.Clone(vars)
		for _, b := range run.Blocks {
			if b.Type == "variables" {
				maps.Copy(given, literals(b.Body))
			}
		}
		m, err := load(module, given, mocked)
		if err != nil {
			return append(wrong, err.Error())
		}
		for _, kind := range m.named("azurerm_*") {
			wrong = append(wrong, m.resources[kind].wrongForms(kind)...)
		}
	}
	return wrong
}

// literals are the values of a body's attributes, which nothing else is needed for.
func literals(body *hclsyntax.Body) map[string]cty.Value {
	values := make(map[string]cty.Value)
	for name, a := range body.Attributes {
		if v, diags := a.Expr.Value(nil); !diags.HasErrors() {
			values[name] = v
		}
	}
	return values
}

// defaults are the attributes that a mock_provider gives, by "type.*.attribute". It
// gives all others a random word, which has no form: so does load.
func defaults(provider *hclsyntax.Body) map[string]string {
	known := make(map[string]string)
	for _, b := range provider.Blocks {
		prefix := b.Labels[0] + ".*."
		if b.Type == "mock_data" {
			prefix = "data." + prefix
		}
		given, ok := literals(b.Body)["defaults"]
		if !ok {
			continue
		}
		for name, v := range given.AsValueMap() {
			known[prefix+name] = text(v)
			if v.Type().IsObjectType() {
				for inner, v := range v.AsValueMap() {
					known[prefix+name+"[0]."+inner] = text(v)
				}
			}
		}
	}
	return known
}

// wrongForms says which arguments of b, and of the blocks in it, the provider would
// refuse.
func (b block) wrongForms(where string) []string {
	var wrong []string
	for name := range b.body.Attributes {
		form, listed := forms[name]
		if !listed {
			if strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "_ids") {
				wrong = append(wrong, fmt.Sprintf("%s: no form of %s is known here", where, name))
			}
			continue
		}
		for _, v := range strs(b.value(name)) {
			if !form.MatchString(v) {
				wrong = append(wrong, fmt.Sprintf("%s: the provider refuses %s = %q: give the mock a value of its form", where, name, v))
			}
		}
	}
	for _, n := range b.body.Blocks {
		if inner, kind, ok := b.made(n); ok {
			wrong = append(wrong, inner.wrongForms(where+": "+kind)...)
		}
	}
	return wrong
}

// strs are the texts in v.
func strs(v cty.Value) []string {
	switch {
	case !v.IsWhollyKnown() || v.IsNull():
		return nil
	case v.Type() == cty.String:
		return []string{v.AsString()}
	case !v.CanIterateElements():
		return nil
	}
	var all []string
	for _, element := range v.AsValueSlice() {
		all = append(all, text(element))
	}
	return all
}
