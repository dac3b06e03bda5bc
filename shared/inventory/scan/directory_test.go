package scan_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// directory is the directory of one tenant, by ground truth. Its lists have no snapshot: a page
// begins at a place among what is there when it is read, so that a list which is read while
// something goes leaves another one out.
type directory struct {
	*world
	tenantID string
	pageSize int
	tenantOf map[string]string // of connections

	dirMu sync.Mutex
	apps  []*app // in the order of lists
	made  int

	longest       time.Duration
	signInRefused *serviceerror.Error
	// refused are errors of lists, which hold until they are taken away.
	refused map[inventory.List]error
	// hide leaves an application out of the lists, although it is there.
	hide map[string]bool
	// generation is in cursors: one of another generation is taken no more.
	generation int
	// circle is a list of which each page leads to itself.
	circle inventory.List
	// ring is a list of which two pages lead to each other, with nothing on them.
	ring inventory.List
}

// app is an application of a tenant.
type app struct {
	clientID, name    string
	object, principal string // empty: there is none
	disabled          bool
	home              string
	secrets, certs    []inventory.Credential // of the registration
	principalSecrets  []inventory.Credential
	owners            []string
	federated         []string
	used              map[string]time.Time // by key id
}

// add makes an application with a registration, a service principal, an owner, and n client secrets
// that end in 100 days and one day more each.
func (d *directory) add(n int) *app {
	d.dirMu.Lock()
	defer d.dirMu.Unlock()
	d.made++
	id := d.made
	a := &app{
		clientID: d.guid(1, id), name: fmt.Sprintf("app-%03d", id), object: d.guid(2, id), principal: d.guid(3, id),
		home: d.tenantID, owners: []string{d.guid(4, id)}, used: map[string]time.Time{},
	}
	for i := range n {
		start := time.Now().UTC().Truncate(time.Second).Add(-day)
		a.secrets = append(a.secrets, inventory.Credential{
			KeyID: d.guid(0x100+i, id), Kind: inventory.ClientSecret, Holder: inventory.Registration, Name: fmt.Sprintf("secret %d", i),
			Hint: "abc", StartsAt: start, EndsAt: start.Add(time.Duration(101+i) * day),
		})
	}
	d.apps = append(d.apps, a)
	return a
}

// foreign makes the service principal of another tenant's application.
func (d *directory) foreign(credentials int) *app {
	a := d.add(credentials)
	a.object, a.home = "", guid(0xffff)
	for _, c := range a.secrets {
		c.Holder = inventory.Principal
		a.principalSecrets = append(a.principalSecrets, c)
	}
	a.secrets = nil
	return a
}

// guid is one of this tenant.
func (d *directory) guid(kind, n int) string {
	return fmt.Sprintf("%s-%04x-4000-8000-%012x", d.tenantID[:8], kind, n)
}

// remove deletes an application.
func (d *directory) remove(a *app) {
	d.dirMu.Lock()
	defer d.dirMu.Unlock()
	d.apps = slices.DeleteFunc(d.apps, func(b *app) bool { return a == b })
}

func (d *directory) page(list inventory.List, cursor string) (page inventory.Page, err error) {
	d.dirMu.Lock()
	defer d.dirMu.Unlock()
	if err := d.refused[list]; err != nil {
		return page, err
	}
	from := 0
	if cursor != "" {
		place, generation, _ := strings.Cut(cursor, " of generation ")
		if from, err = strconv.Atoi(place); err != nil || generation != strconv.Itoa(d.generation) {
			return page, &serviceerror.Error{Op: "reading a list", Class: serviceerror.Invalid, Status: 400, Code: "Directory_ExpiredPageToken"}
		}
	}
	apps := slices.DeleteFunc(slices.Clone(d.apps), func(a *app) bool { return d.hide[a.clientID] })
	for _, a := range apps[min(from, len(apps)):min(from+d.pageSize, len(apps))] {
		if part, ok := a.in(list); ok {
			page.Applications = append(page.Applications, part)
		}
	}
	if from+d.pageSize < len(apps) {
		page.Next = fmt.Sprintf("%d of generation %d", from+d.pageSize, d.generation)
	}
	if list == d.ring {
		page = inventory.Page{Next: fmt.Sprintf("%d of generation %d", 1-min(from, 1), d.generation)}
	}
	if list == d.circle && cursor != "" {
		page.Next = cursor
	}
	return page, nil
}

// in is what a list tells of a; not ok: nothing.
func (a *app) in(list inventory.List) (part inventory.Application, ok bool) {
	part.Key = inventory.Key{ClientID: a.clientID}
	switch list {
	case inventory.Applications:
		part.ObjectID, part.Name, part.Audience = a.object, a.name, "AzureADMyOrg"
		part.Credentials = append(slices.Clone(a.secrets), a.certs...)
		for _, o := range a.owners {
			part.Owners = append(part.Owners, inventory.Owner{ID: o, Kind: "user"})
		}
		return part, a.object != ""
	case inventory.FederatedIDs:
		part.ObjectID = a.object
		for _, f := range a.federated {
			part.Federated = append(part.Federated, inventory.Federated{ID: f, Name: f})
		}
		return part, len(a.federated) > 0
	case inventory.Principals:
		part.PrincipalID, part.Name, part.Disabled, part.HomeTenantID = a.principal, a.name, a.disabled, a.home
		part.Credentials = slices.Clone(a.principalSecrets)
		return part, a.principal != ""
	case inventory.Activity:
		for key, at := range a.used {
			part.Credentials = append(part.Credentials, inventory.Credential{KeyID: key, UsedAt: at})
		}
		return part, len(a.used) > 0
	}
	return part, false
}

func (d *directory) exists(clientID string) (registration, principal bool, err error) {
	d.dirMu.Lock()
	defer d.dirMu.Unlock()
	if err := d.refused[inventory.Missing]; err != nil {
		return false, false, err
	}
	for _, a := range d.apps {
		if a.clientID == clientID {
			return a.object != "", a.principal != "", nil
		}
	}
	return false, false, nil
}

func (d *directory) policy() (time.Duration, error) {
	d.dirMu.Lock()
	defer d.dirMu.Unlock()
	return d.longest, d.refused[inventory.Policy]
}

func (d *directory) refuse(list inventory.List, err error) {
	d.dirMu.Lock()
	defer d.dirMu.Unlock()
	if d.refused == nil {
		d.refused = map[inventory.List]error{}
	}
	d.refused[list] = err
}

// truth are the rows that a tenant has to have, without when they were seen: what the lists say,
// joined by hand.
func (d *directory) truth() map[string]inventory.Application {
	d.dirMu.Lock()
	defer d.dirMu.Unlock()
	rows := map[string]inventory.Application{}
	for _, a := range d.apps {
		row := inventory.Application{
			Key: inventory.Key{TenantID: d.tenantID, ClientID: a.clientID}, ObjectID: a.object, PrincipalID: a.principal, Name: a.name,
			Disabled: a.disabled,
		}
		if a.object != "" {
			row.Audience = "AzureADMyOrg"
			for _, o := range a.owners {
				row.Owners = append(row.Owners, inventory.Owner{ID: o, Kind: "user", OfRegistration: true})
			}
		}
		if a.principal != "" {
			row.HomeTenantID = a.home
		}
		for _, c := range slices.Concat(a.secrets, a.certs, a.principalSecrets) {
			c.UsedAt = a.used[c.KeyID]
			row.Credentials = append(row.Credentials, c)
		}
		for _, f := range a.federated {
			row.Federated = append(row.Federated, inventory.Federated{ID: f, Name: f})
		}
		slices.SortStableFunc(row.Credentials, func(x, y inventory.Credential) int { return x.EndsAt.Compare(y.EndsAt) })
		if a.object != "" || len(row.Credentials) > 0 {
			rows[a.clientID] = row
		}
	}
	return rows
}
