#include "image/pull_record.h"
#include "tests/lib/test.h"

/* One line each, with the line's end, as a kubelet has them. */
#define INTENT                                                                                     \
    "{\"kind\":\"ImagePullIntent\",\"apiVersion\":\"kubelet.config.k8s.io/v1beta1\","              \
    "\"image\":\"busybox:1\"}\n"
#define RECORD_HEAD                                                                                \
    "{\"kind\":\"ImagePulledRecord\",\"apiVersion\":\"kubelet.config.k8s.io/v1beta1\","            \
    "\"lastUpdatedTime\":\"2026-11-21T03:24:00Z\",\"imageRef\":\"sha256:abc\""
#define RECORD                                                                                     \
    RECORD_HEAD                                                                                    \
    ",\"credentialMapping\":{"                                                                     \
    "\"docker.io/library/busybox\":{\"nodePodsAccessible\":true},"                                 \
    "\"r.example/team/app\":{"                                                                     \
    "\"kubernetesSecrets\":["                                                                      \
    "{\"uid\":\"u1\",\"namespace\":\"a\",\"name\":\"s\",\"credentialHash\":\"h1\"},"               \
    "{\"uid\":\"u2\",\"namespace\":\"b\",\"name\":\"s\",\"credentialHash\":\"h2\"}],"              \
    "\"kubernetesServiceAccounts\":[{\"uid\":\"u3\",\"namespace\":\"a\",\"name\":\"sa\"}]}}}\n"
#define NOW_S 1795231440 /* that lastUpdatedTime */

#define REPO "r.example/team/app"

static struct pull_record read_record(const char *text, struct arena *arena)
{
    struct pull_record record;
    bool is_old = true;
    assert_no_error(pull_record_decode(str_from(text), arena, &record, &is_old));
    assert_false(is_old);
    return record;
}

static const char *written(const struct pull_record *record, struct arena *arena)
{
    AUTO(buf) struct buf out;
    buf_init(&out, PULL_RECORD_MAX_BYTES);
    assert_no_error(pull_record_encode(record, &out));
    return arena_strdup(arena, buf_text(&out));
}

/* --- files --- */

TEST_CASE(a_file_is_named_after_the_hash_of_what_it_is_about)
{
    char name[PULL_RECORD_NAME_SIZE];
    pull_record_name("busybox:1", name);
    assert_string_equal(name,
                        "sha256-765f875080a9220ec3186dfc31b67b030c07e570665ba0e000bb9d17d5481cd5");
}

TEST_CASE(records_are_read_and_written_byte_for_byte)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const char *const texts[] = {RECORD, RECORD_HEAD "}\n"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct pull_record record = read_record(texts[i], arena);
        assert_int_equal(record.updated_s, NOW_S);
        assert_string_equal(written(&record, arena), texts[i]);
    }
}

TEST_CASE(intents_are_read_and_written_byte_for_byte)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf out;
    buf_init(&out, PULL_RECORD_MAX_BYTES);
    const char *image;
    bool is_old = true;
    assert_no_error(pull_intent_decode(str_from(INTENT), arena, &image, &is_old));
    assert_string_equal(image, "busybox:1");
    assert_false(is_old);
    assert_no_error(pull_intent_encode(image, &out));
    assert_string_equal(buf_text(&out), INTENT);
}

TEST_CASE(the_old_version_is_read_and_said_to_be_old)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const char *const text =
        "{\"kind\":\"ImagePullIntent\",\"apiVersion\":\"kubelet.config.k8s.io/v1alpha1\","
        "\"image\":\"x\"}";
    const char *image;
    bool is_old = false;
    assert_no_error(pull_intent_decode(str_from(text), arena, &image, &is_old));
    assert_true(is_old);
}

TEST_CASE(what_is_no_record_is_refused_with_what_is_wrong)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"[]", "expected an object"},
        {INTENT, "unknown field \"image\""},
        {"{\"kind\":\"ImagePulledRecord\",\"apiVersion\":\"v1\"}",
         "expected ImagePulledRecord of kubelet.config.k8s.io/v1beta1 or v1alpha1, found kind "
         "\"ImagePulledRecord\" and apiVersion \"v1\""},
        {"{\"imageRef\":1}", "imageRef: expected a string"},
        {"{\"lastUpdatedTime\":true}", "lastUpdatedTime: expected a time"},
        {"{\"credentialMapping\":{\"r\":{\"kubernetesSecrets\":[{\"uid\":\"\",\"key\":1}]}}}",
         "credentialMapping: r: kubernetesSecrets: [0]: unknown field \"key\""},
        {"{\"credentialMapping\":{\"r\":{\"nodePodsAccessible\":\"yes\"}}}",
         "credentialMapping: r: nodePodsAccessible: expected true or false"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct pull_record record;
        bool is_old;
        assert_error_message(pull_record_decode(str_from(rows[i].text), arena, &record, &is_old),
                             rows[i].want);
    }
}

TEST_CASE(a_login_is_hashed_as_docker_s_json_with_go_s_escapes)
{
    static const struct {
        const char *username, *password, *email, *want;
    } rows[] = {
        /* {"username":"user","password":"p\u003ca\u0026b\u003e\"s\u2028"} */
        {"user", "p<a&b>\"s\xe2\x80\xa8", "",
         "775c9604470a86c5aa01bed85604a2082a815ae95f03ff592e8fa6459536f4a7"},
        {"user", "secret", "u@example.com",
         "e490444e84bed99615402ff745c691c6c37d1d76e89940cfb75189de47ffeca6"},
        {"", "", "", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char hash[PULL_RECORD_HASH_SIZE];
        pull_credential_hash(rows[i].username, rows[i].password, rows[i].email, hash);
        assert_string_equal(hash, rows[i].want);
    }
}

/* --- merging --- */

#define SECRET(uid_, ns, name_, hash_)                                                             \
    ((struct pull_secret){.uid = (uid_), .namespace_ = (ns), .name = (name_), .hash = (hash_)})

static const char *merged(const char *old_text, const struct pull_access *access,
                          struct arena *arena)
{
    struct pull_record old, merged;
    if (old_text)
        old = read_record(old_text, arena);
    struct pull_proof proof = {.image_ref = "sha256:abc", .repository = REPO, .access = access};
    if (!pull_record_merge(old_text ? &old : NULL, &proof, NOW_S, arena, &merged))
        return "unchanged";
    return written(&merged, arena);
}

#define MAPPED(access) RECORD_HEAD ",\"credentialMapping\":{\"" REPO "\":{" access "}}}\n"
#define ONE(uid, ns, name, hash)                                                                   \
    "{\"uid\":\"" uid "\",\"namespace\":\"" ns "\",\"name\":\"" name                               \
    "\",\"credentialHash\":\"" hash "\"}"
#define SECRETS(list) "\"kubernetesSecrets\":[" list "]"
#define ACCOUNTS(list) "\"kubernetesServiceAccounts\":[" list "]"
#define ACCOUNT "{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"sa\"}"
#define ANYBODY "\"nodePodsAccessible\":true"

TEST_CASE(a_pull_adds_to_a_record_what_it_has_shown)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pull_secret first = SECRET("u1", "a", "s", "h1"), newer = SECRET("u1", "a", "s", "h9"),
                       other = SECRET("u2", "B", "s", "h1");
    struct pull_account account = {.uid = "u", .namespace_ = "a", .name = "sa"};
    struct pull_access anybody = {.all_pods = true},
                       with_first = {.secrets = &first, .n_secrets = 1},
                       with_newer = {.secrets = &newer, .n_secrets = 1},
                       with_other = {.secrets = &other, .n_secrets = 1},
                       with_account = {.accounts = &account, .n_accounts = 1};
    const struct {
        const char *what, *old;
        const struct pull_access *access;
        const char *want;
    } rows[] = {
        {"the first", NULL, &with_first, MAPPED(SECRETS(ONE("u1", "a", "s", "h1")))},
        {"nobody is known", NULL, NULL, RECORD_HEAD "}\n"},
        {"nobody new", MAPPED(ANYBODY), NULL, "unchanged"},
        {"anonymously", NULL, &anybody, MAPPED(ANYBODY)},
        {"anonymously clears the lists",
         MAPPED(SECRETS(ONE("u1", "a", "s", "h1")) "," ACCOUNTS(ACCOUNT)), &anybody,
         MAPPED(ANYBODY)},
        {"anybody stays", MAPPED(ANYBODY), &with_first, "unchanged"},
        {"the same secret", MAPPED(SECRETS(ONE("u1", "a", "s", "h1"))), &with_first, "unchanged"},
        {"a hash is brought up to date", MAPPED(SECRETS(ONE("u1", "a", "s", "h1"))), &with_newer,
         MAPPED(SECRETS(ONE("u1", "a", "s", "h9")))},
        {"sorted by namespace", MAPPED(SECRETS(ONE("u1", "a", "s", "h1"))), &with_other,
         MAPPED(SECRETS(ONE("u2", "B", "s", "h1") "," ONE("u1", "a", "s", "h1")))},
        {"an account", MAPPED(SECRETS(ONE("u1", "a", "s", "h1"))), &with_account,
         MAPPED(SECRETS(ONE("u1", "a", "s", "h1")) "," ACCOUNTS(ACCOUNT))},
        {"the same account", MAPPED(ACCOUNTS(ACCOUNT)), &with_account, "unchanged"},
        {"another repository", RECORD_HEAD ",\"credentialMapping\":{\"q\":{" ANYBODY "}}}\n",
         &with_first,
         RECORD_HEAD ",\"credentialMapping\":{\"q\":{" ANYBODY "},\"" REPO
                     "\":{" SECRETS(ONE("u1", "a", "s", "h1")) "}}}\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = merged(rows[i].old, rows[i].access, arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: %s", rows[i].what, got);
    }
}

/* --- deciding --- */

static enum pull_check check_of(const struct pull_check_input *input, const char **ret_note)
{
    const struct pull_secret *note;
    enum pull_check check = pull_check(input, &note);
    *ret_note = note ? note->uid : "";
    return check;
}

TEST_CASE(each_policy_says_which_images_are_asked_about)
{
    static const char *const list[] = {"r.example/team/*", "docker.io/library/busybox"};
    static const struct {
        enum config_pull_policy kind;
        const char *repository;
        bool is_known;
        const char *want;
    } rows[] = {
        {CONFIG_PULL_NEVER_VERIFY, REPO, true, "credentialPolicyAllowed"},
        {CONFIG_PULL_NEVER_VERIFY_PRELOADED_IMAGES, REPO, false, "credentialPolicyAllowed"},
        {CONFIG_PULL_NEVER_VERIFY_PRELOADED_IMAGES, REPO, true, "mustAuthenticate"},
        {CONFIG_PULL_NEVER_VERIFY_ALLOWLISTED_IMAGES, REPO, true, "credentialPolicyAllowed"},
        {CONFIG_PULL_NEVER_VERIFY_ALLOWLISTED_IMAGES, "r.example/teams/app", false,
         "mustAuthenticate"},
        {CONFIG_PULL_NEVER_VERIFY_ALLOWLISTED_IMAGES, "docker.io/library/busybox", true,
         "credentialPolicyAllowed"},
        {CONFIG_PULL_NEVER_VERIFY_ALLOWLISTED_IMAGES, "docker.io/library/busybox2", true,
         "mustAuthenticate"},
        {CONFIG_PULL_NEVER_VERIFY_ALLOWLISTED_IMAGES, NULL, true, "mustAuthenticate"},
        {CONFIG_PULL_ALWAYS_VERIFY, REPO, false, "mustAuthenticate"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pull_policy policy = {
            .kind = rows[i].kind, .allowlist = list, .n_allowlist = ARRAY_SIZE(list)};
        struct pull_check_input input = {
            .policy = &policy, .repository = rows[i].repository, .is_known = rows[i].is_known};
        const char *note;
        assert_string_equal(pull_check_name(check_of(&input, &note)), rows[i].want);
    }
}

TEST_CASE(a_record_says_which_pods_may_use_an_image)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const struct pull_policy policy = {.kind = CONFIG_PULL_ALWAYS_VERIFY};
    struct pull_secret same = SECRET("u1", "a", "s", "h1"), moved = SECRET("u7", "c", "t", "h1"),
                       changed = SECRET("u1", "a", "s", "h7"),
                       foreign = SECRET("u8", "a", "s", "h8"), hollow = SECRET("u9", "z", "z", "");
    struct pull_account account = {.uid = "u", .namespace_ = "a", .name = "sa"},
                        renamed = {.uid = "v", .namespace_ = "a", .name = "sa"};
    struct pull_access nothing = {0}, has_same = {.secrets = &same, .n_secrets = 1},
                       has_moved = {.secrets = &moved, .n_secrets = 1},
                       has_changed = {.secrets = &changed, .n_secrets = 1},
                       has_foreign = {.secrets = &foreign, .n_secrets = 1},
                       has_hollow = {.secrets = &hollow, .n_secrets = 1},
                       has_account = {.accounts = &account, .n_accounts = 1},
                       has_renamed = {.accounts = &renamed, .n_accounts = 1};
    static const char one[] = MAPPED(SECRETS(ONE("u1", "a", "s", "h1")) "," ACCOUNTS(ACCOUNT));
    const struct {
        const char *what, *record;
        const struct pull_access *pod;
        const char *want, *note;
    } rows[] = {
        {"another repository", RECORD_HEAD ",\"credentialMapping\":{\"q\":{" ANYBODY "}}}\n",
         &has_same, "mustAuthenticate", ""},
        {"no mapping at all", RECORD_HEAD "}\n", &has_same, "mustAuthenticate", ""},
        {"anybody", MAPPED(ANYBODY), NULL, "credentialRecordFound", ""},
        {"an empty entry", MAPPED(""), NULL, "mustAuthenticate", ""},
        {"the pod's have to be looked up", one, NULL, "", ""},
        {"a pod without any", one, &nothing, "mustAuthenticate", ""},
        {"the same secret", one, &has_same, "credentialRecordFound", ""},
        {"another secret, same content", one, &has_moved, "credentialRecordFound", "u7"},
        {"the same secret, other content", one, &has_changed, "credentialRecordFound", "u1"},
        {"a secret made anew with other content", one, &has_foreign, "mustAuthenticate", ""},
        {"no hash matches no hash", MAPPED(SECRETS(ONE("u1", "a", "s", ""))), &has_hollow,
         "mustAuthenticate", ""},
        {"the account", one, &has_account, "credentialRecordFound", ""},
        {"an account made anew", one, &has_renamed, "mustAuthenticate", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pull_record record = read_record(rows[i].record, arena);
        struct pull_check_input input = {.policy = &policy,
                                         .repository = REPO,
                                         .is_known = true,
                                         .record = &record,
                                         .pod = rows[i].pod};
        const char *note, *got = pull_check_name(check_of(&input, &note));
        if (!text_eq(got, rows[i].want) || !text_eq(note, rows[i].note))
            fail_msg("%s: %s, noted %s", rows[i].what, got, note);
    }
}

TEST_CASE(a_full_record_takes_no_more_notes_and_believes_no_changed_secret)
{
    static const struct pull_policy policy = {.kind = CONFIG_PULL_ALWAYS_VERIFY};
    struct pull_secret known[PULL_RECORD_MATCH_LIMIT];
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        known[i] = SECRET("u", "a", "other", "other");
    known[0] = SECRET("u1", "a", "s", "h1");
    struct pull_mapping mapping = {.repository = REPO,
                                   .access = {.secrets = known, .n_secrets = ARRAY_SIZE(known)}};
    struct pull_record record = {.image_ref = "x", .mappings = &mapping, .n_mappings = 1};
    struct pull_secret moved = SECRET("u7", "c", "t", "h1"), changed = SECRET("u1", "a", "s", "h7");
    struct pull_access pods[] = {{.secrets = &moved, .n_secrets = 1},
                                 {.secrets = &changed, .n_secrets = 1}};
    static const char *const want[] = {"credentialRecordFound", "mustAuthenticate"};
    for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
        struct pull_check_input input = {.policy = &policy,
                                         .repository = REPO,
                                         .is_known = true,
                                         .record = &record,
                                         .pod = &pods[i]};
        const char *note;
        assert_string_equal(pull_check_name(check_of(&input, &note)), want[i]);
        assert_string_equal(note, "");
    }
}

TEST_CASE(what_cannot_be_read_has_to_be_pulled_whatever_the_policy)
{
    static const struct pull_policy policy = {.kind = CONFIG_PULL_NEVER_VERIFY};
    struct pull_check_input input = {.policy = &policy, .repository = REPO, .is_unreadable = true};
    const char *note;
    assert_string_equal(pull_check_name(check_of(&input, &note)), "error");
}

TEST_MAIN(TEST(a_file_is_named_after_the_hash_of_what_it_is_about),
          TEST(records_are_read_and_written_byte_for_byte),
          TEST(intents_are_read_and_written_byte_for_byte),
          TEST(the_old_version_is_read_and_said_to_be_old),
          TEST(what_is_no_record_is_refused_with_what_is_wrong),
          TEST(a_login_is_hashed_as_docker_s_json_with_go_s_escapes),
          TEST(a_pull_adds_to_a_record_what_it_has_shown),
          TEST(each_policy_says_which_images_are_asked_about),
          TEST(a_record_says_which_pods_may_use_an_image),
          TEST(a_full_record_takes_no_more_notes_and_believes_no_changed_secret),
          TEST(what_cannot_be_read_has_to_be_pulled_whatever_the_policy))
