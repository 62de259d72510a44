package small

import (
	"os"

	"goblip/datasets/shapes"
	"goblip/train/recipes"
)

// quick says whether a few steps will do: the notebooks then show that everything works, and learn nothing.
func quick() bool { return os.Getenv("GOBLIP_QUICK") == "1" }

// Steps is n, or a few if GOBLIP_QUICK=1.
func Steps(n int) int {
	if quick() {
		return max(n/50, 4)
	}
	return n
}

// Corpus is a sixth of the quickstart's.
func Corpus() shapes.Config {
	c := shapes.Default()
	c.Train, c.Val, c.Test = 4000, 100, 200
	return c
}

// CLIP is the quickstart's image tower after a sixth of its steps.
func CLIP() *recipes.CLIPSettings {
	s := recipes.DefaultCLIP()
	s.Steps, s.WarmupSteps = Steps(800), 100
	return s
}

// LM is the quickstart's language model after two fifths of its steps.
func LM() *recipes.LMSettings {
	s := recipes.DefaultLM()
	s.Steps, s.WarmupSteps = Steps(450), 80
	return s
}

// Stage1 has half of the quickstart's batch, and any pictures in it, not ones that look alike: ITM learns to tell
// those apart only later.
func Stage1() *recipes.Stage1Settings {
	s := recipes.DefaultStage1()
	s.Steps, s.Batch, s.WarmupSteps, s.Alike = Steps(250), 32, 40, 1
	return s
}

// Stage2 is the quickstart's after a third of its steps.
func Stage2() *recipes.Stage2Settings {
	s := recipes.DefaultStage2()
	s.Steps, s.WarmupSteps = Steps(300), 40
	return s
}

// VQA is the quickstart's with a shorter training.
func VQA() *recipes.VQASettings {
	s := recipes.DefaultVQA()
	s.Steps, s.WarmupSteps = Steps(400), 40
	return s
}
