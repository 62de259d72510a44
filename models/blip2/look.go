package blip2

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Look is where the queries look in pictures, on their own or, given a text a picture, as they read
// both for ITM: states [batch, patches, image_hidden] as EncodeImages takes them, ids, mask int32
// [batch, text] or nil -> Looks, beside what the queries became.
func Look(scope *model.Scope, cfg *Config, states, ids, mask *Node) Output {
	im := prepareImages(scope, cfg, states)
	pass := Pass{Queries: im.Queries, Images: im.KV}
	if ids != nil {
		pass = matchPass(scope, cfg, im.Queries, im.KV, ids, mask)
	}
	pass.Look = true
	return Encode(scope, &cfg.QFormer, pass)
}
