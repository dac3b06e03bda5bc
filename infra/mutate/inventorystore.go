package main

// ofInventoryRows are the packages that may notice what is wrong with the rows of an inventory.
var ofInventoryRows = []string{"./shared/tablestore"}

// inventoryRows: an application is written as a whole or not at all, the order of ends has what the
// rows show, and one tenant's commits are transactions.
var inventoryRows = []mutation{
	{
		name: "the end of a credential that is gone stays",
		rule: "inventory", file: "shared/tablestore/inventorywrite.go", tests: ofInventoryRows,
		old: "for _, key := range removed {",
		new: "for _, key := range removed[:0] {",
	},
	{
		name: "an application that another scan has written meanwhile is overwritten",
		rule: "inventory", file: "shared/tablestore/inventorywrite.go", tests: ofInventoryRows,
		old: "t.add(kind, appKey(w.key), w.was.etag, properties)",
		new: "_ = kind\n\tt.add(aztables.TransactionTypeInsertReplace, appKey(w.key), \"\", properties)",
	},
	{
		name: "what was accepted outlives its application",
		rule: "inventory", file: "shared/tablestore/inventorywrite.go", tests: ofInventoryRows,
		old: "if w.was.accepted {",
		new: "if false {",
	},
	{
		name: "an application that was not looked for counts as new",
		rule: "P6", file: "shared/tablestore/inventoryput.go", tests: ofInventoryRows,
		old: "w.was.known = n < most || appKey(w.key) <= last",
		new: "w.was.known = true",
	},
	{
		name: "what is there already is written again",
		rule: "P6", file: "shared/tablestore/inventorywrite.go", tests: ofInventoryRows,
		old: "return err == nil && string(ours) == string(theirs), nil",
		new: "return err == nil && string(ours) == string(theirs) && false, nil",
	},
	{
		name: "a large application is written without its ends",
		rule: "inventory", file: "shared/tablestore/inventoryput.go", tests: ofInventoryRows,
		old: "range slices.Chunk(is, maxOperations) {",
		new: "range slices.Chunk(is[:0], maxOperations) {",
	},
	{
		name: "an older Rekey overwrites an application of a newer one",
		rule: "inventory", file: "shared/tablestore/inventory.go", tests: ofInventoryRows,
		old: "if schema > inventorySchema {",
		new: "if false {",
	},
	{
		name: "something is accepted about an application that is going",
		rule: "inventory", file: "shared/tablestore/inventoryapp.go", tests: ofInventoryRows,
		old: "t.add(aztables.TransactionTypeUpdateMerge, appKey(key), string(azcore.ETagAny), nil)",
		new: "_ = azcore.ETagAny",
	},
	{
		name: "a list of ends repeats the one that it goes on behind",
		rule: "inventory", file: "shared/tablestore/inventoryapp.go", tests: ofInventoryRows,
		old: `endKey(*q.After)+"!"`,
		new: `endKey(*q.After)`,
	},
	{
		name: "a list of one tenant has the ends of all",
		rule: "inventory", file: "shared/tablestore/inventoryapp.go", tests: ofInventoryRows,
		old: `ok && (q.TenantID == "" || q.TenantID == end.TenantID)`,
		new: `ok && end.TenantID != ""`,
	},
	{
		name: "a page that lacks a row counts as none",
		rule: "inventory", file: "shared/tablestore/inventoryscan.go", tests: ofInventoryRows,
		old: "\tif err == nil && open.have < open.parts {\n",
		new: "\tif false {\n",
	},
	{
		name: "parts of two attempts at a page are mixed",
		rule: "inventory", file: "shared/tablestore/inventoryscan.go", tests: ofInventoryRows,
		old: "part > 0 && (number != open.number || digest != open.digest)",
		new: "part > 0 && (number != open.number || digest == \"\")",
	},
	{
		name: "the pages of a scan whose id begins alike are dropped",
		rule: "inventory", file: "shared/tablestore/inventorykeys.go", tests: ofInventoryRows,
		old: `return number, m[2], part, m[2] == "" || part > 0`,
		new: `return number, m[2], part, false`,
	},
	{
		name: "a tenant's old wake-up stays",
		rule: "inventory", file: "shared/tablestore/inventorytenant.go", tests: ofInventoryRows,
		old: "if !was.IsZero() && !oldGone {",
		new: "if false {",
	},
	{
		name: "a wake-up that a person deleted blocks a tenant",
		rule: "inventory", file: "shared/tablestore/inventorytenant.go", tests: ofInventoryRows,
		old: "return v.attempt(ctx, c, true)",
		new: `return "", serviceerror.ErrConflict`,
	},
	{
		name: "a commit of a tenant overwrites that of another scan",
		rule: "inventory", file: "shared/tablestore/inventorytenant.go", tests: ofInventoryRows,
		old: "t.add(kind, tenantKey(c.tenant.ID), c.tenant.Handle.ETag, c.row)",
		new: "_ = kind\n\tt.add(aztables.TransactionTypeInsertReplace, tenantKey(c.tenant.ID), \"\", c.row)",
	},
	{
		name: "notices of inventories pile up where nothing delivers them",
		rule: "P6", file: "shared/tablestore/inventorytenant.go", tests: ofInventoryRows,
		old: "if w.Notice != nil && v.s.notices {",
		new: "if w.Notice != nil {",
	},
	{
		name: "a long notice blocks a tenant",
		rule: "inventory", file: "shared/tablestore/inventorytenant.go", tests: ofInventoryRows,
		old: `"message": clip(n.Message),`,
		new: `"message": n.Message,`,
	},
}
