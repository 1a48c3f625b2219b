package strict

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// ForeignBucket exists and belongs to another account, which shares it with nobody.
const ForeignBucket = "strict-of-another-account"

// S3's limits.
const (
	maxKey     = 1024    // bytes, https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
	maxObject  = 5 << 30 // bytes of one upload, https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
	maxDeletes = 1000    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
	maxTags    = 50      // of a bucket, https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
)

// bucketName is the form of a bucket's name.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	ipAddress  = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

func validBucketName(name string) bool {
	return bucketName.MatchString(name) && !strings.Contains(name, "..") && !ipAddress.MatchString(name) && !strings.HasPrefix(name, "xn--")
}

func (f *Front) s3(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	no := s3Owner(r, bucket)
	if no == nil {
		no = s3Request(r, bucket, key)
	}
	if no == nil {
		if conditional(r) { // S3 looks and writes at once, moto one after the other
			f.writing.Lock()
			defer f.writing.Unlock()
		}
		f.proxy.ServeHTTP(w, r)
		return
	}
	text := fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", no.code, escape(no.message))
	if r.Method == http.MethodHead {
		text = ""
	}
	writeXML(w, no.status, text)
}

func conditional(r *http.Request) bool {
	return r.Method == http.MethodPut && (r.Header.Get("If-Match") != "" || r.Header.Get("If-None-Match") != "")
}

// s3Owner refuses a bucket of another account.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
func s3Owner(r *http.Request, bucket string) *refusal {
	owner := r.Header.Get("x-amz-expected-bucket-owner")
	creates := r.Method == http.MethodPut && r.URL.RawQuery == "" && strings.Trim(r.URL.Path, "/") == bucket
	switch {
	case bucket == ForeignBucket && creates:
		return refuse(http.StatusConflict, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.")
	case owner != "" && len(owner) != len(AccountID):
		return refuse(http.StatusBadRequest, "InvalidBucketOwnerAWSAccountID", "The value of the expected bucket owner parameter must be an AWS account ID")
	case bucket == ForeignBucket, owner != "" && owner != AccountID:
		return refuse(http.StatusForbidden, "AccessDenied", "Access Denied")
	}
	return nil
}

func s3Request(r *http.Request, bucket, key string) *refusal {
	size := r.ContentLength
	if decoded := r.Header.Get("x-amz-decoded-content-length"); decoded != "" {
		size, _ = strconv.ParseInt(decoded, 10, 64)
	}
	switch {
	case r.Method == http.MethodPut && key == "" && r.URL.RawQuery == "" && !validBucketName(bucket):
		return refuse(http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid.")
	case len(key) > maxKey:
		return refuse(http.StatusBadRequest, "KeyTooLongError", "Your key is too long")
	case r.Method == http.MethodPut && key != "" && size > maxObject:
		return refuse(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size")
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
	case conditional(r) && r.Header.Get("If-None-Match") != "" && (r.Header.Get("If-None-Match") != "*" || r.Header.Get("If-Match") != ""):
		return refuse(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
	case r.Method == http.MethodPost && r.URL.Query().Has("delete"):
		return s3Deletes(r)
	case r.Method == http.MethodPut && key == "" && r.URL.Query().Has("tagging"):
		return s3Tags(r)
	}
	return nil
}

func s3Deletes(r *http.Request) *refusal {
	malformed := refuse(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	all, err := body(r)
	var list struct {
		Object []struct{ Key string }
	}
	if err != nil || xml.Unmarshal(all, &list) != nil || len(list.Object) == 0 || len(list.Object) > maxDeletes {
		return malformed
	}
	return nil
}

func s3Tags(r *http.Request) *refusal {
	all, err := body(r)
	var list struct {
		Tags []tag `xml:"TagSet>Tag"`
	}
	if err != nil || xml.Unmarshal(all, &list) != nil {
		return refuse(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	if len(list.Tags) > maxTags {
		return refuse(http.StatusBadRequest, "BadRequest", "Bucket tag count cannot be greater than 50")
	}
	if no := tagRules(list.Tags); no != nil {
		return refuse(http.StatusBadRequest, "InvalidTag", "%s", no.message)
	}
	return nil
}
