// Package scripts holds the scripts that the program itself runs, so that a single binary has them.
package scripts

import _ "embed"

// AOTCompile compiles a StableHLO program for devices that are not here; see its own help.
//
//go:embed aot_compile.py
var AOTCompile string

// LemmatizeAnswers brings answers to base forms by spaCy; see its own help.
//
//go:embed lemmatize_answers.py
var LemmatizeAnswers string
