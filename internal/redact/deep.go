package redact

import "reflect"

// Deep returns a copy of v with clean applied to every string in it. Use it before
// rendering: a secret that is escaped for Markdown or JSON is not recognized any more.
// It reaches exported fields only, in what interfaces hold too, and leaves the keys of maps as they are.
func Deep[T any](v T, clean func(string) string) T {
	return deep(reflect.ValueOf(&v).Elem(), clean).Interface().(T)
}

func deep(v reflect.Value, clean func(string) string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(clean(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			p := reflect.New(v.Type().Elem())
			p.Elem().Set(deep(v.Elem(), clean))
			out.Set(p)
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(deep(v.Elem(), clean))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(deep(v.Index(i), clean))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for _, k := range v.MapKeys() {
				out.SetMapIndex(k, deep(v.MapIndex(k), clean))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(deep(v.Field(i), clean))
			}
		}
	default: // holds no string
	}
	return out
}
