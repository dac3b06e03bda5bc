package main

// ofLists are the packages that may notice that a list of the directory is misread.
var ofLists = []string{"./shared/graph"}

// inventoryLists: the directory's lists are read to their end, from it alone, and without a value.
var inventoryLists = []mutation{
	{
		name: "a link to another host is one to the next page",
		rule: "inventory", file: "shared/graph/inventorycursor.go", tests: ofLists,
		old: "!strings.EqualFold(u.Hostname(), host)",
		new: "host == \"\"",
	},
	{
		name: "a cursor may ask for more than the first page did",
		rule: "inventory", file: "shared/graph/inventorycursor.go", tests: ofLists,
		old: "!place && !slices.Equal(values, first[name])",
		new: "!place && !slices.Equal(values, values)",
	},
	{
		name: "a query may end early",
		rule: "inventory", file: "shared/graph/inventorycursor.go", tests: ofLists,
		old: " || r == '#'",
		new: "",
	},
	{
		name: "an answer without a list is an empty list",
		rule: "inventory", file: "shared/graph/inventorypage.go", tests: ofLists,
		old: "in.Value == nil {",
		new: "in.Value == nil && false {",
	},
	{
		name: "a certificate that signs tokens is two credentials",
		rule: "inventory", file: "shared/graph/inventorypage.go", tests: ofLists,
		old: "(k.Usage != \"Verify\" || !signing[k.Identifier])",
		new: "k.Usage != \"\"",
	},
	{
		name: "the password of a certificate that signs tokens is a client secret",
		rule: "inventory", file: "shared/graph/inventorypage.go", tests: ofLists,
		old: " && !signing[p.Identifier]",
		new: "",
	},
	{
		name: "what never ends is kept before what ends",
		rule: "inventory", file: "shared/graph/inventorypage.go", tests: ofLists,
		old: "never(a)-never(b)",
		new: "never(b)-never(a)",
	},
	{
		name: "twenty owners are all owners",
		rule: "inventory", file: "shared/graph/inventorypage.go", tests: ofLists,
		old: "len(o.Owners) >= inventory.MaxOwners",
		new: "len(o.Owners) > inventory.MaxOwners",
	},
	{
		name: "a proxy's 404 says that an application is gone",
		rule: "inventory", file: "shared/graph/inventory.go", tests: ofLists,
		old: "serviceerror.ClassOf(e) == serviceerror.ApplicationMissing",
		new: "e.(*serviceerror.Error).Status == 404",
	},
}
