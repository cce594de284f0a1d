package mailer

import (
	"sort"
	"strings"
)

// DomainGroup is a set of mail domains that one provider answers for: its pace,
// its patience and its outages are shared by all of them.
type DomainGroup struct {
	Name    string
	Domains []string // each with its subdomains
	// Connections is how many messages for the group may be on the wire at once;
	// 0 is no limit of its own.
	Connections int
	PerSecond   int // 0 is no limit of its own
}

// OtherDomains is the name of the group of all domains that no group lists.
const OtherDomains = "others"

// JapaneseProviders are the groups that most people in Japan have addresses
// with. They have no limits of their own: relays differ too much.
var JapaneseProviders = []DomainGroup{
	{Name: "docomo", Domains: []string{"docomo.ne.jp", "mopera.net", "dwmail.jp"}},
	{Name: "au", Domains: []string{"ezweb.ne.jp", "au.com", "auone-net.jp", "ido.ne.jp", "uqmobile.jp"}},
	{Name: "softbank", Domains: []string{
		"softbank.ne.jp", "i.softbank.jp", "vodafone.ne.jp", "jp-d.ne.jp", "jp-h.ne.jp", "jp-t.ne.jp",
		"jp-c.ne.jp", "jp-r.ne.jp", "jp-k.ne.jp", "jp-n.ne.jp", "jp-s.ne.jp", "jp-q.ne.jp",
		"disney.ne.jp", "ymobile.ne.jp", "ymobile1.ne.jp", "willcom.com", "pdx.ne.jp", "emnet.ne.jp",
	}},
	{Name: "gmail", Domains: []string{"gmail.com", "googlemail.com"}},
	{Name: "yahoo-japan", Domains: []string{"yahoo.co.jp", "ymail.ne.jp", "ybb.ne.jp"}},
	{Name: "outlook", Domains: []string{"outlook.com", "outlook.jp", "hotmail.com", "hotmail.co.jp", "live.com", "live.jp", "msn.com"}},
}

// Grouping finds the group of a domain.
type Grouping struct {
	byDomain map[string]string
	groups   []DomainGroup // by name; OtherDomains among them
}

// NewGrouping refuses a name or a domain that stands twice. A group named
// OtherDomains gives the limits of all the rest.
func NewGrouping(groups []DomainGroup) (*Grouping, error) {
	g := &Grouping{byDomain: map[string]string{}}
	seen := map[string]bool{}
	for _, group := range groups {
		if group.Name == "" || seen[group.Name] {
			return nil, Invalid("group.name", "group", group.Name)
		}
		seen[group.Name] = true
		if group.Name == OtherDomains && len(group.Domains) > 0 {
			return nil, Invalid("group.rest", "group", group.Name)
		}
		for _, d := range group.Domains {
			d = strings.ToLower(d)
			if other, twice := g.byDomain[d]; twice {
				return nil, Invalid("group.domain", "domain", d, "first", other, "second", group.Name)
			}
			g.byDomain[d] = group.Name
		}
		g.groups = append(g.groups, group)
	}
	if !seen[OtherDomains] {
		g.groups = append(g.groups, DomainGroup{Name: OtherDomains})
	}
	sort.Slice(g.groups, func(i, k int) bool { return g.groups[i].Name < g.groups[k].Name })
	return g, nil
}

// Groups are all groups, by name.
func (g *Grouping) Groups() []DomainGroup { return g.groups }

// Find returns the name of the group of a domain, which is in lower case.
func (g *Grouping) Find(domain string) string {
	for d := domain; d != ""; {
		if name, ok := g.byDomain[d]; ok {
			return name
		}
		_, d, _ = strings.Cut(d, ".")
	}
	return OtherDomains
}

// NoGrouping has all domains in one group without limits.
func NoGrouping() *Grouping {
	g, err := NewGrouping(nil)
	if err != nil {
		panic(err) // nothing stands twice in nothing
	}
	return g
}
