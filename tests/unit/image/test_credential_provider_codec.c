#include "image/credential_provider_codec.h"

#include "tests/lib/test.h"

#define V1 "credentialprovider.kubelet.k8s.io/v1"
#define OF(rest) "{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"" V1 "\"," rest "}"

TEST_CASE(a_request_is_written)
{
    static const struct credential_annotation annotations[] = {{"a", "1"}, {"x.io/b", "\"2\""}};
    static const struct {
        struct credential_request request;
        const char *want;
    } rows[] = {
        {{.api_version = V1 "beta1", .image = "r.example/app"},
         "{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
         "beta1\",\"image\":\"r.example/app\"}"},
        {{.api_version = V1,
          .image = "r.example/app",
          .token = "t",
          .annotations = annotations,
          .annotation_count = 2},
         "{\"kind\":\"CredentialProviderRequest\",\"apiVersion\":\"" V1
         "\",\"image\":\"r.example/app\",\"serviceAccountToken\":\"t\","
         "\"serviceAccountAnnotations\":{\"a\":\"1\",\"x.io/b\":\"\\\"2\\\"\"}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf text;
        buf_init(&text, 4 * KiB);
        credential_request_encode(&rows[i].request, &text);
        assert_string_equal(buf_text(&text), rows[i].want);
    }
}

TEST_CASE(a_response_is_read)
{
    static const struct {
        const char *text;
        enum credential_cache_key key;
        bool has_duration;
        int64_t duration_ns;
        size_t count;
    } rows[] = {
        {OF("\"cacheKeyType\":\"Image\""), CREDENTIAL_CACHE_IMAGE, false, 0, 0},
        {OF("\"cacheKeyType\":\"Registry\",\"cacheDuration\":\"0s\",\"auth\":{}"),
         CREDENTIAL_CACHE_REGISTRY, true, 0, 0},
        {OF("\"cacheKeyType\":\"Global\",\"cacheDuration\":\"1h\",\"auth\":null"),
         CREDENTIAL_CACHE_GLOBAL, true, 3600 * NS_PER_SEC, 0},
        {OF("\"cacheKeyType\":\"Image\",\"cacheDuration\":null,\"auth\":{\"r.example\":{"
            "\"username\":\"u\",\"password\":\"p\"},\"s.example\":{}}"),
         CREDENTIAL_CACHE_IMAGE, false, 0, 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct credential_response response = {0};
        assert_no_error(credential_response_decode(str_from(rows[i].text), V1, &response));
        assert_int_equal(response.cache_key, rows[i].key);
        assert_int_equal(response.has_cache_duration, rows[i].has_duration);
        assert_int_equal(response.cache_duration_ns, rows[i].duration_ns);
        assert_int_equal(response.set.count, rows[i].count);
        if (rows[i].count == 2) {
            assert_string_equal(response.set.logins[0].location, "r.example");
            assert_string_equal(response.set.logins[0].username, "u");
            assert_string_equal(response.set.logins[0].password, "p");
            assert_string_equal(response.set.logins[1].password, "");
        }
        credential_set_done(&response.set);
    }
}

#define UNDECODED "error decoding credential provider plugin response from stdout"
#define NO_GVK "error reading GVK from response: it is no JSON object with apiVersion and kind"

/* "s3cret" stands for what a plugin may have mixed up. */
TEST_CASE(a_bad_response_is_refused_without_being_quoted)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", NO_GVK},
        {"s3cret", NO_GVK},
        {"[\"s3cret\"]", NO_GVK},
        {"{\"apiVersion\":{\"s3cret\":1}}", NO_GVK},
        {"kind: CredentialProviderResponse\napiVersion: " V1 "\ncacheKeyType: Image\n", UNDECODED},
        {"{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"" V1 "beta1\"}",
         "apiVersion from credential plugin response did not match expected apiVersion:" V1
         ", actual apiVersion:" V1 "beta1"},
        {"{\"kind\":\"Secret\",\"apiVersion\":\"" V1 "\"}",
         "failed to decode CredentialProviderResponse, unexpected Kind: \"Secret\""},
        {OF("\"auth\":{}"), "credential provider plugin did not return a valid cacheKeyType: \"\""},
        {OF("\"cacheKeyType\":\"image\""),
         "credential provider plugin did not return a valid cacheKeyType: \"image\""},
        {OF("\"cacheKeyType\":\"Image\",\"s3cret\":1"), UNDECODED},
        {OF("\"cacheKeyType\":\"Image\",\"auth\":{\"r\":{\"password\":\"s3cret\",\"token\":1}}"),
         UNDECODED},
        {OF("\"cacheKeyType\":\"Image\",\"auth\":{\"r\":\"s3cret\"}"), UNDECODED},
        {OF("\"cacheKeyType\":\"Image\",\"auth\":{\"s3cret\":{},\"s3cret\":{}}"), UNDECODED},
        {OF("\"cacheKeyType\":\"Image\",\"cacheDuration\":\"s3cret\""), UNDECODED},
        {OF("\"cacheKeyType\":\"Image\"") " s3cret", NO_GVK},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct credential_response response = {0};
        assert_error_message(credential_response_decode(str_from(rows[i].text), V1, &response),
                             rows[i].want);
        assert_int_equal(response.set.count, 0);
    }
}

TEST_MAIN(TEST(a_request_is_written), TEST(a_response_is_read),
          TEST(a_bad_response_is_refused_without_being_quoted))
