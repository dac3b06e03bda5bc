package console

import (
	"strings"

	"rekey/shared/auth"
)

// Route is a route as the tests go over them.
type Route struct {
	Method, Path string
	Role         auth.Role
}

// Routes returns every route, with the values of its parameters in its path.
func Routes(params ...string) (all []Route) {
	for _, rt := range routes {
		all = append(all, Route{rt.method, strings.TrimSuffix(Base+"/"+strings.NewReplacer(params...).Replace(rt.pattern), "/"), rt.role})
	}
	return all
}

// Fields are the labels of the forms' fields by what the API calls them.
func Fields() map[string]string {
	all := map[string]string{}
	for _, f := range fields {
		all[f.api] = f.label
	}
	return all
}

// The words of pages for what the API says.
var (
	Said       = said
	EventWords = eventWords
	Triggers   = triggers
	ListWords  = listWords
	ScanWords  = scanWords
	Changes    = changeWords

	TrailWords  = trailWords
	SignInWords = signInWords
)

// What docs/install.md says as well.
const (
	TenantFrom = tenantFrom
	ClientFrom = clientFrom
)

// Ways are the methods: the word in an address, the name, and when to take it.
var Ways = func() (all [][3]string) {
	for _, w := range ways {
		all = append(all, [3]string{w.method, w.name, w.takes})
	}
	return all
}()
