package rebuild

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"rekey/shared/rotation"
	"rekey/shared/vaulttag"
)

// group is the secrets whose latest version bears a connection's tags.
type group struct {
	id, via string
	secrets []rotation.VaultSecret

	name   string // of the published secret; empty: the connection authenticates only
	auth   bool   // there is something that it authenticates with
	staged bool
}

var idForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// sort groups the secrets of this deployment by connection: all, or only one with the
// one that authenticates for it. What bears the deployment's tag without being of any
// connection is on the plan.
func (r *Rebuilder) sort(secrets []rotation.VaultSecret, only string) (map[string]*group, *Plan) {
	plan, all := &Plan{}, map[string]*group{}
	for _, s := range secrets {
		if s.Tags[vaulttag.Deployment] != r.Deployment {
			continue
		}
		id := s.Tags[vaulttag.Connection]
		if !idForm.MatchString(id) {
			plan.ByPerson = append(plan.ByPerson,
				fmt.Sprintf("The secret %q bears the tag of this deployment but names no connection. It is left alone.", s.Name))
			continue
		}
		if all[id] == nil {
			all[id] = &group{id: id}
		}
		all[id].secrets = append(all[id].secrets, s)
		all[id].via = cmp.Or(all[id].via, s.Tags[vaulttag.Via])
	}
	if only == "" {
		return all, plan
	}
	one := map[string]*group{}
	if g := all[only]; g != nil {
		one[only] = g
		if parent := all[g.via]; parent != nil {
			one[g.via] = parent
		}
	}
	return one, &Plan{}
}

// place finds out which of the group's secrets is what. Which names a connection has
// follows from one of them, so that more than one set of names means that a person has
// copied a secret together with its tags.
func (g *group) place() (strays []string, err error) {
	names := map[string]rotation.VaultSecret{} // by lower-case name
	for _, s := range g.secrets {
		if via := s.Tags[vaulttag.Via]; via != g.via {
			return nil, held("Its secrets disagree about the connection that authenticates for it. Look at the tags of %s.", g.list())
		}
		if strings.EqualFold(s.Name, (&rotation.Record{ID: g.id}).AuthName()) {
			g.auth = true
			continue
		}
		names[strings.ToLower(s.Name)] = s
	}
	type pair struct {
		name              string
		published, staged bool
	}
	pairs := map[string]pair{}
	for low, s := range names {
		base, isStaged := strings.CutSuffix(low, suffix)
		_, hasBase := names[base]
		if _, hasOwn := names[low+suffix]; hasOwn {
			isStaged = false
		} else if isStaged && !hasBase {
			isStaged = s.Tags[vaulttag.Marker] != "" // a first version that was published has none
		}
		if isStaged {
			p := pairs[base]
			p.staged, p.name = true, cmp.Or(p.name, s.Name[:len(base)])
			pairs[base] = p
			continue
		}
		p := pairs[low]
		p.published, p.name = true, s.Name
		pairs[low] = p
	}
	if len(pairs) > 1 { // the one with all that belongs to it is the connection's
		maps.DeleteFunc(pairs, func(_ string, p pair) bool {
			if p.published && p.staged {
				return false
			}
			strays = append(strays, p.name)
			return true
		})
	}
	if len(pairs) > 1 || len(pairs) == 0 && len(strays) > 0 {
		return nil, held("Several secrets bear its tags: %s. Take the tags off the ones that are copies, and run it again.", g.list())
	}
	for _, p := range pairs {
		g.name, g.staged = p.name, p.staged
	}
	slices.Sort(strays)
	return strays, nil
}

// suffix is what the name of a staged secret has more than that of the published one.
var suffix = (&rotation.Record{}).StagedName()

// list is the names of the group's secrets.
func (g *group) list() string {
	var names []string
	for _, s := range g.secrets {
		names = append(names, fmt.Sprintf("%q", s.Name))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// ours returns the versions that are of the connection.
func (r *Rebuilder) ours(id string, versions []rotation.VaultSecret) []rotation.VaultSecret {
	return slices.DeleteFunc(versions, func(v rotation.VaultSecret) bool {
		return v.Tags[vaulttag.Deployment] != r.Deployment || v.Tags[vaulttag.Connection] != id
	})
}

// order sorts connections as they have to be written: those that authenticate for
// others first; of the rest the newest first, so that of two with the same name the
// younger one has it. The older one was being deleted then.
func order(list []Connection) {
	newest := func(c *Connection) int64 { return c.touched.Unix() }
	slices.SortFunc(list, func(a, b Connection) int {
		via := func(c Connection) int {
			if c.Via != "" {
				return 1
			}
			return 0
		}
		return cmp.Or(via(a)-via(b), cmp.Compare(newest(&b), newest(&a)), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
}
