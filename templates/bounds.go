package templates

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"oshirase/mailer"
)

// Bounds on what a merchant's part may ask of the machine, which renders it for every
// reader. The widest notice that people read has a tenth of it.
const (
	maxSource = 64 << 10 // octets of a part's source
	maxOutput = 64 << 10 // octets that a part may say, and of one value in it
	maxLoops  = 20       // range in one part
	maxNested = 2        // range in range
	maxRounds = 500      // of one range
)

// partFuncs are the functions that a merchant's part may call. Those of text/template
// that write programs (js, html, urlquery), call what they are given, or fill up to any
// width (printf) are not among them.
var partFuncs = []string{
	"addressed", "lines", "number", "join", "print",
	"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice",
}

// parsePart reads a merchant's part. It can do what a text needs: look at facts, choose
// and repeat over lists. It defines nothing, so that no other part is replaced unseen;
// it calls none but the built-in phrases (_name), so that nothing calls itself; and its
// loops run over lists of bounded length alone.
func parsePart(root *template.Template, name, source string) (*parse.Tree, error) {
	if len(source) > maxSource {
		return nil, mailer.Invalid("templates.source", "octets", len(source), "most", maxSource)
	}
	alone, err := template.New(name).Funcs(funcs).Parse(source)
	if err != nil {
		return nil, err
	}
	for _, t := range alone.Templates() {
		if t.Name() != name {
			return nil, mailer.Invalid("templates.define", "defines", t.Name())
		}
	}
	if alone.Tree == nil || parse.IsEmptyTree(alone.Root) {
		// It leaves the part out; text/template itself would keep the built-in one.
		alone = template.Must(template.New(name).Parse(`{{""}}`))
	}
	p := &partParser{root: root, tree: alone.Tree, source: source}
	return alone.Tree, p.list(alone.Root, 0)
}

// partParser goes through the nodes of a part.
type partParser struct {
	root   *template.Template
	tree   *parse.Tree
	source string
	loops  int
}

func (p *partParser) line(n parse.Node) int {
	return 1 + strings.Count(p.source[:min(int(n.Position()), len(p.source))], "\n")
}

func (p *partParser) list(l *parse.ListNode, depth int) error {
	if l == nil {
		return nil
	}
	for _, n := range l.Nodes {
		if err := p.node(n, depth); err != nil {
			return err
		}
	}
	return nil
}

func (p *partParser) node(n parse.Node, depth int) error {
	switch n := n.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	case *parse.ActionNode:
		return p.pipe(n.Pipe)
	case *parse.IfNode:
		return p.branch(&n.BranchNode, depth)
	case *parse.WithNode:
		return p.branch(&n.BranchNode, depth)
	case *parse.RangeNode:
		if p.loops++; p.loops > maxLoops || depth == maxNested {
			return mailer.Invalid("templates.loops", "line", p.line(n), "loops", maxLoops, "nested", maxNested)
		}
		if err := p.branch(&n.BranchNode, depth+1); err != nil {
			return err
		}
		// What the list is shows only when the part is rendered.
		bounded := parse.NewIdentifier("bounded").SetTree(p.tree).SetPos(n.Pipe.Pos)
		n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pipe.Pos, Args: []parse.Node{bounded}})
		return nil
	case *parse.TemplateNode:
		if !strings.HasPrefix(n.Name, "_") || p.root.Lookup(n.Name) == nil {
			return mailer.Invalid("templates.call", "line", p.line(n), "calls", n.Name)
		}
		return p.pipe(n.Pipe)
	}
	return mailer.Invalid("templates.node", "line", p.line(n), "what", n.String())
}

func (p *partParser) branch(b *parse.BranchNode, depth int) error {
	if err := p.pipe(b.Pipe); err != nil {
		return err
	}
	if err := p.list(b.List, depth); err != nil {
		return err
	}
	return p.list(b.ElseList, depth)
}

func (p *partParser) pipe(pipe *parse.PipeNode) error {
	if pipe == nil {
		return nil
	}
	for _, c := range pipe.Cmds {
		for _, arg := range c.Args {
			if err := p.argument(arg); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *partParser) argument(n parse.Node) error {
	switch n := n.(type) {
	case *parse.PipeNode:
		return p.pipe(n)
	case *parse.ChainNode:
		return p.argument(n.Node)
	case *parse.IdentifierNode:
		if !slices.Contains(partFuncs, n.Ident) {
			return mailer.Invalid("templates.function", "line", p.line(n), "function", n.Ident, "functions", partFuncs)
		}
	}
	return nil
}

// bounded passes on what a part may repeat over: lists, and not too long ones. Numbers
// are none, nor is what makes its values as it goes.
func bounded(v any) (any, error) {
	list := reflect.ValueOf(v)
	switch list.Kind() {
	case reflect.Invalid:
		return v, nil
	case reflect.Slice, reflect.Array, reflect.Map:
		if list.Len() <= maxRounds {
			return v, nil
		}
		return nil, mailer.Invalid("templates.long-list", "length", list.Len(), "most", maxRounds)
	}
	return nil, mailer.Invalid("templates.no-list", "type", list.Kind().String())
}

var errLong = mailer.Invalid("templates.output", "most", maxOutput)

// printed is print, of a bounded size: a loop could double a text in each round.
func printed(args ...any) (string, error) { return within(fmt.Sprint(args...)) }

func within(s string) (string, error) {
	if len(s) > maxOutput {
		return "", errLong
	}
	return s, nil
}

// page is what a part is rendered to.
type page struct{ bytes.Buffer }

func (p *page) Write(b []byte) (int, error) {
	if p.Len()+len(b) > maxOutput {
		return 0, errLong
	}
	return p.Buffer.Write(b)
}
