package lazyregexp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestAllCompile finds a malformed expression before somebody's run does.
func TestAllCompile(t *testing.T) {
	t.Parallel()
	found := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			called, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || called.Sel.Name != "New" {
				return true
			}
			if of, ok := called.X.(*ast.Ident); !ok || of.Name != "lazyregexp" {
				return true
			}
			// An expression that is put together at run time is not known here; the tests of its
			// package use it.
			if literal, ok := call.Args[0].(*ast.BasicLit); ok {
				found++
				expr, err := strconv.Unquote(literal.Value)
				if err == nil {
					_, err = regexp.Compile(expr)
				}
				if err != nil {
					t.Errorf("%s: %s: %v", path, literal.Value, err)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 20 {
		t.Errorf("only %d expressions were found", found)
	}
}
