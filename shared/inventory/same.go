package inventory

import (
	"slices"
	"time"
)

// Same reports whether two rows say the same, so that one need not be written over the
// other. When they were seen and changed does not count.
func Same(a, b *Application) bool {
	return sameFacts(a, b) && slices.Equal(a.Unread, b.Unread) &&
		slices.EqualFunc(a.Credentials, b.Credentials, func(x, y Credential) bool { return x.UsedAt.Equal(y.UsedAt) })
}

// sameFacts reports whether a person would call them the same: that a credential was used
// again is no change of an application, and nor is what a scan could read.
func sameFacts(a, b *Application) bool {
	return a.Key == b.Key && a.ObjectID == b.ObjectID && a.PrincipalID == b.PrincipalID && a.HomeTenantID == b.HomeTenantID &&
		a.Disabled == b.Disabled && sameCredentials(a, b) && sameOwners(a, b) && sameDetails(a, b)
}

func sameCredentials(a, b *Application) bool {
	return a.MoreCredentials == b.MoreCredentials && slices.EqualFunc(a.Credentials, b.Credentials, func(x, y Credential) bool {
		sameTimes := x.StartsAt.Equal(y.StartsAt) && x.EndsAt.Equal(y.EndsAt)
		x.StartsAt, x.EndsAt, x.UsedAt = time.Time{}, time.Time{}, time.Time{}
		y.StartsAt, y.EndsAt, y.UsedAt = time.Time{}, time.Time{}, time.Time{}
		return sameTimes && x == y
	})
}

func sameOwners(a, b *Application) bool {
	return a.MoreOwners == b.MoreOwners && slices.Equal(a.Owners, b.Owners)
}

// sameDetails compares what no other kind of change tells of.
func sameDetails(a, b *Application) bool {
	return a.Name == b.Name && a.Audience == b.Audience && a.CreatedAt.Equal(b.CreatedAt) && slices.Equal(a.Federated, b.Federated)
}
