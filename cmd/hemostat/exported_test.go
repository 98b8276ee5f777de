package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// TestExportedNamesAreUsed holds that whatever a package exports is used by another
// package of the program: the rest belongs to the package alone, and its name says so by
// its first letter. Tests of other packages are users too. A type counts as used when it is part of something used; a constant
// also when its type is, or another of its block, since a set of values is declared whole;
// a method also when an interface asks for it.
func TestExportedNamesAreUsed(t *testing.T) {
	if raceEnabled {
		t.Skip("run without the race detector, as make test does")
	}
	loaded, err := packages.Load(&packages.Config{
		Dir:   "../..",
		Tests: true,
		Mode:  packages.NeedName | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedSyntax | packages.NeedImports | packages.NeedDeps,
	}, "./...")
	require.NoError(t, err)
	require.Zero(t, packages.PrintErrors(loaded))

	use := newUsage()
	for _, p := range loaded {
		use.of(p)
	}
	for _, p := range loaded {
		use.blocks(p)
	}
	var unused []string
	for _, p := range loaded {
		if p.Name != "main" && p.ID == p.PkgPath { // not the package as its tests see it
			unused = append(unused, use.unusedIn(p.Types)...)
		}
	}
	sort.Strings(unused)
	unused = slices.DeleteFunc(unused, func(name string) bool { return usedOtherwise[name] != "" })
	require.Empty(t, unused, "these are exported, but no other package uses them:\n"+strings.Join(unused, "\n"))
}

// usedOtherwise are names that are used in a way that the compiler does not see.
var usedOtherwise = map[string]string{
	"reports/compare.Result.Parts":   "compare.html",
	"reports/compare.Result.Summary": "compare.html",
	"reports/compare.Row.Better":     "compare.html",
	"reports/compare.Row.Chance":     "compare.html",
	"reports/compare.Row.Change":     "compare.html",
	"reports/compare.Row.Found":      "compare.html",
	"sim/strictyaml.NodeReader":      "types of other packages fulfil it",
	"sim/strictyaml.Positioned":      "types of other packages fulfil it",
	"sim/strictyaml.Schemer":         "types of other packages fulfil it",
	"scenarios/trial.Trial.Alerts":   "a trial that its caller steps",
	"scenarios/trial.Trial.Horizon":  "a trial that its caller steps",
	"scenarios/trial.Trial.Now":      "a trial that its caller steps",
	"scenarios/trial.Trial.Rows":     "a trial that its caller steps",
	"scenarios/trial.Trial.RunUntil": "a trial that its caller steps",
}

// usage is what packages use of each other.
type usage struct {
	objects    map[string]bool     // by keyOf, for a package and its test's view of it are two
	types      map[types.Type]bool // seen as part of something used
	interfaces map[string]bool     // names of methods that some interface asks for
}

func newUsage() *usage {
	// Of the standard library, these are called by reflection or by conversion.
	return &usage{map[string]bool{}, map[types.Type]bool{}, map[string]bool{
		"Error": true, "Unwrap": true, "Is": true, "String": true, "Len": true, "Swap": true, "Less": true, "Push": true, "Pop": true,
		"MarshalJSON": true, "UnmarshalJSON": true, "MarshalText": true, "UnmarshalText": true, "UnmarshalYAML": true, "MarshalYAML": true, "Scan": true, "Value": true,
		"Read": true, "Write": true, "Close": true, "JSONSchema": true, "Describe": true, "Collect": true}}
}

// of notes what a package uses of others, and the interfaces that it declares.
func (u *usage) of(p *packages.Package) {
	for _, o := range p.TypesInfo.Uses {
		if o.Pkg() == nil || o.Pkg().Path() == strings.TrimSuffix(p.PkgPath, "_test") {
			continue
		}
		u.objects[keyOf(o)] = true
		u.part(o.Type())
	}
	for _, value := range p.TypesInfo.Types {
		if i, ok := value.Type.Underlying().(*types.Interface); ok && value.IsType() {
			for m := range i.Methods() {
				u.interfaces[m.Name()] = true
			}
		}
	}
}

// blocks notes the constants and variables that stand in one block with a used one.
func (u *usage) blocks(p *packages.Package) {
	for _, file := range p.Syntax {
		for _, d := range file.Decls {
			block, ok := d.(*ast.GenDecl)
			if !ok || block.Tok != token.CONST && block.Tok != token.VAR {
				continue
			}
			var names []string
			used := false
			for _, spec := range block.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if o := p.TypesInfo.Defs[name]; o != nil && name.IsExported() {
						names = append(names, keyOf(o))
						used = used || u.objects[keyOf(o)]
					}
				}
			}
			for _, name := range names {
				u.objects[name] = u.objects[name] || used
			}
		}
	}
}

// keyOf names an object, whatever view of its package it comes from.
func keyOf(o types.Object) string {
	if f, ok := o.(*types.Func); ok {
		return f.Origin().FullName()
	}
	if o.Pkg() == nil {
		return o.Name() // error, any
	}
	return o.Pkg().Path() + "." + o.Name()
}

func (u *usage) isValueOfUsedType(o types.Object) bool {
	named, ok := o.Type().(*types.Named)
	_, isConstant := o.(*types.Const)
	return ok && isConstant && u.objects[keyOf(named.Obj())]
}

// part notes a type and all that it is made of.
func (u *usage) part(t types.Type) {
	if t == nil || u.types[t] {
		return
	}
	u.types[t] = true
	switch x := t.(type) {
	case *types.Named:
		u.objects[keyOf(x.Obj())] = true
		for a := range x.TypeArgs().Types() {
			u.part(a)
		}
		u.part(x.Underlying())
		for m := range x.Methods() {
			if m.Exported() {
				u.part(m.Type())
			}
		}
	case *types.Alias:
		u.objects[keyOf(x.Obj())] = true
		u.part(types.Unalias(x))
	case *types.Pointer:
		u.part(x.Elem())
	case *types.Slice:
		u.part(x.Elem())
	case *types.Array:
		u.part(x.Elem())
	case *types.Chan:
		u.part(x.Elem())
	case *types.Map:
		u.part(x.Key())
		u.part(x.Elem())
	case *types.Struct:
		for f := range x.Fields() {
			if f.Exported() {
				u.part(f.Type())
			}
		}
	case *types.Interface:
		for m := range x.Methods() {
			u.part(m.Type())
		}
	case *types.Signature:
		for _, tuple := range []*types.Tuple{x.Params(), x.Results()} {
			for v := range tuple.Variables() {
				u.part(v.Type())
			}
		}
	}
}

// unusedIn lists the exported names of a package that nobody else uses.
func (u *usage) unusedIn(p *types.Package) []string {
	var unused []string
	path := strings.TrimPrefix(p.Path(), "hemostat/")
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		if !u.objects[keyOf(o)] && !u.isValueOfUsedType(o) {
			unused = append(unused, path+"."+name)
			continue
		}
		named, ok := o.Type().(*types.Named)
		if _, isType := o.(*types.TypeName); !ok || !isType {
			continue
		}
		for m := range named.Methods() {
			if m.Exported() && !u.objects[keyOf(m)] && !u.interfaces[m.Name()] {
				unused = append(unused, path+"."+name+"."+m.Name())
			}
		}
	}
	return unused
}
