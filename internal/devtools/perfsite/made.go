package perfsite

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
)

// picture draws planks: two woods, with grain.
func picture() ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, 800, 400))
	for y := range 400 {
		for x := range 800 {
			grain := 12 * math.Sin(float64(x)/90+float64(y/80))
			wood := [3]float64{176, 132, 84}
			if y/80%2 == 1 {
				wood = [3]float64{214, 190, 150}
			}
			if y%80 < 2 {
				grain -= 60
			}
			img.SetRGBA(x, y, color.RGBA{R: uint8(wood[0] + grain), G: uint8(wood[1] + grain), B: uint8(wood[2] + grain), A: 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 40}); err != nil {
		return nil, fmt.Errorf("sample website: picture: %w", err)
	}
	return b.Bytes(), nil
}

// icon is a square of one colour.
func icon() ([]byte, error) {
	img := image.NewPaletted(image.Rect(0, 0, 32, 32), color.Palette{color.RGBA{R: 11, G: 79, B: 138, A: 255}})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("sample website: icon: %w", err)
	}
	return b.Bytes(), nil
}

// blocking makes a script of about size bytes. It is a bundle's shape: many small
// functions with names and texts of their own, so that it compresses about as real
// code. All of them run while the parser waits, and once more after the first paint,
// as a framework takes over a page that is there: what blocks before the first paint
// is no part of Total Blocking Time. The work is a number of steps and no time: a
// slower processor needs longer, as with real code.
func blocking(size int) []byte {
	if size <= 0 {
		return nil
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same bytes each time
	word := func() string {
		b := make([]byte, 4+random.IntN(8))
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz"[random.IntN(26)]
		}
		return string(b)
	}
	const end = "const run=(s)=>{for(const f of Object.values(m))s=f(s);return s};let s=run(1);\n" +
		"addEventListener(\"load\",()=>requestAnimationFrame(()=>setTimeout(()=>{s=run(run(s))},50)))})();\n"
	var b bytes.Buffer
	b.WriteString("\"use strict\";(()=>{const m={};\n")
	for n := 0; b.Len() < size-len(end)-50; n++ {
		fmt.Fprintf(&b, "m.%s%d=(a)=>{const o={%s:%d,t:\"%s %s %s\"};for(let i=0;i<%d;i++){a=(a*%d+o.t.charCodeAt(i%%8))%%%d}return a};\n",
			word(), n, word(), random.IntN(1e6), word(), word(), word(), steps, 3+random.IntN(97), 1e6+random.IntN(1e6))
	}
	b.WriteString(end)
	return b.Bytes()
}

// steps of each function of the blocking script: 300 kB have about 2,000 functions,
// and each of their runs takes some 80 ms on a processor of 2024.
const steps = 500
