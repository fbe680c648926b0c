#include "server/guard.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "tests/lib/metrics_text.h"
#include "tests/lib/test.h"
#include "tests/lib/tls_certs.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"
#include "wire/tls_certificate.h"
#include "wire/tls_internal.h"

#include "authentication.pb-c.h"
#include "authorization.pb-c.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define TOKEN_TTL_NS (120 * NS_PER_SEC)
#define AUTHORIZED_TTL_NS (300 * NS_PER_SEC)
#define UNAUTHORIZED_TTL_NS (30 * NS_PER_SEC)
#define REVIEWS_UNDER_WAY 128
#define SUBPROTOCOL_OF_ABC "base64url.bearer.authorization.k8s.io.YWJj"

/* --- certificates, valid on the fake loop's day --- */

struct world {
    struct test_cert ca, other_ca, good, expired, stranger, server, nameless;
};

static struct test_cert cert_new(struct test_cert_options options, const struct test_cert *issuer)
{
    long day = (long)(FAKE_LOOP_WALL_START_NS / NS_PER_SEC - time(NULL));
    options.begins_s += day - TEST_CERT_DAY_S;
    options.ends_s += day + TEST_CERT_DAY_S;
    return test_cert_new(&options, issuer);
}

static int setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    world->ca = cert_new((struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    world->other_ca =
        cert_new((struct test_cert_options){.common_name = "other", .is_ca = true}, NULL);
    world->good = cert_new((struct test_cert_options){.common_name = "admin",
                                                      .organizations = {"system:masters"},
                                                      .usage = "clientAuth"},
                           &world->ca);
    world->expired =
        cert_new((struct test_cert_options){.common_name = "late", .ends_s = -TEST_CERT_DAY_S - 60},
                 &world->ca);
    world->stranger =
        cert_new((struct test_cert_options){.common_name = "stranger"}, &world->other_ca);
    world->server = cert_new(
        (struct test_cert_options){.common_name = "server", .usage = "serverAuth"}, &world->ca);
    world->nameless =
        cert_new((struct test_cert_options){.organizations = {"system:masters"}}, &world->ca);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    struct test_cert *const certs[] = {&world->ca,      &world->other_ca, &world->good,
                                       &world->expired, &world->stranger, &world->server,
                                       &world->nameless};
    for (size_t i = 0; i < ARRAY_SIZE(certs); i++)
        test_cert_free(certs[i]);
    free(world);
    return 0;
}

/* --- who shows what, and what they may --- */

struct credential {
    const char *name;
    const char *token;                /* NULL: none */
    size_t cert;                      /* offset in struct world; 0: none */
    const char *user;                 /* NULL: refused; "": nobody is known, anonymous may be */
    const char *verbs, *subresources; /* allowed, between blanks; "*" is all */
};

static const struct credential credentials[] = {
    {"none", NULL, 0, "", "", ""},
    {"bad token", "bad", 0, NULL, "", ""},
    {"good token without rights", "bob", 0, "bob", "", ""},
    {"stats only", "stats", 0, "stats", " get ", " stats "},
    {"pods only", "pods", 0, "pods", " get ", " pods "},
    {"nodes/proxy", "proxy", 0, "proxy", " get create ", " proxy "},
    {"everything", "root", 0, "root", "*", "*"},
    {"good certificate", NULL, offsetof(struct world, good), "admin", "*", "*"},
    {"expired certificate", NULL, offsetof(struct world, expired), NULL, "", ""},
    {"another authority's", NULL, offsetof(struct world, stranger), NULL, "", ""},
    {"a server's certificate", NULL, offsetof(struct world, server), NULL, "", ""},
    {"a certificate without a name", NULL, offsetof(struct world, nameless), "", "", ""},
};

static bool is_in(const char *word, const char *list)
{
    AUTO(free) char *wanted = xasprintf(" %s ", word);
    return text_eq(list, "*") || strstr(list, wanted);
}

static bool is_allowed(const char *user, const char *verb, const char *subresource)
{
    for (size_t i = 0; i < ARRAY_SIZE(credentials); i++) {
        if (text_eq(credentials[i].user, user))
            return is_in(verb, credentials[i].verbs) &&
                   is_in(subresource, credentials[i].subresources);
    }
    return false;
}

/* --- the bench --- */

struct bench {
    const struct world *world;
    struct loop *loop;
    struct api_client *client;
    struct metrics *metrics;
    struct guard *guard;
    struct arena *arena;
    struct buf asked; /* what the server was asked: tokens, "user verb subresource" */
    struct buf told;  /* verdicts that came later */
};

static struct guard_options options_for(struct bench *bench)
{
    return (struct guard_options){.is_token_webhook = true,
                                  .token_cache_ttl_ns = TOKEN_TTL_NS,
                                  .is_authorization_webhook = true,
                                  .authorized_cache_ttl_ns = AUTHORIZED_TTL_NS,
                                  .unauthorized_cache_ttl_ns = UNAUTHORIZED_TTL_NS,
                                  .node_name = "node-a",
                                  .client = bench->client,
                                  .metrics = bench->metrics};
}

static void bench_init(struct bench *bench, const struct world *world)
{
    *bench = (struct bench){.world = world, .arena = arena_new(0), .metrics = metrics_new()};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    const struct guard_options options = options_for(bench);
    bench->guard = guard_new(bench->loop, &options);
    assert_no_error(guard_set_client_ca(bench->guard, world->ca.cert_pem));
    buf_init(&bench->asked, 64 * KiB);
    buf_init(&bench->told, 64 * KiB);
}

/* A guard with other options in the place of the first. */
static void set_options(struct bench *bench, const struct guard_options *options)
{
    guard_free(bench->guard);
    bench->guard = guard_new(bench->loop, options);
    assert_no_error(guard_set_client_ca(bench->guard, bench->world->ca.cert_pem));
}

static void auto_release_bench(struct bench *bench)
{
    guard_free(bench->guard);
    assert_int_equal(fake_pending(bench->client), 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    metrics_free(bench->metrics);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
    buf_done(&bench->asked);
    buf_done(&bench->told);
}

#define assert_text(buf, want)                                                                     \
    do {                                                                                           \
        assert_string_equal(buf_text(buf), (want));                                                \
        buf_clear(buf);                                                                            \
    } while (0)

/* --- the server --- */

static void answer_token(struct bench *bench, struct fake_exchange *request)
{
    const char *token = ((const Authentication__TokenReview *)request->body)->spec->token;
    Authentication__TokenReview review = AUTHENTICATION__TOKEN_REVIEW__INIT;
    Authentication__TokenReviewStatus status = AUTHENTICATION__TOKEN_REVIEW_STATUS__INIT;
    Authentication__UserInfo user = AUTHENTICATION__USER_INFO__INIT;
    buf_printf(&bench->asked, "(%s)", token);
    user.username = (char *)arena_strdup(bench->arena, token);
    status.user = &user;
    status.authenticated = status.has_authenticated = !text_eq(token, "bad");
    review.status = &status;
    fake_reply(request, &review.base);
}

static void answer_access(struct bench *bench, struct fake_exchange *request)
{
    const Authorization__SubjectAccessReviewSpec *spec =
        ((const Authorization__SubjectAccessReview *)request->body)->spec;
    const Authorization__ResourceAttributes *wish = spec->resource_attributes;
    const char *verb = wish->verb ? wish->verb : "";
    Authorization__SubjectAccessReview review = AUTHORIZATION__SUBJECT_ACCESS_REVIEW__INIT;
    Authorization__SubjectAccessReviewStatus status =
        AUTHORIZATION__SUBJECT_ACCESS_REVIEW_STATUS__INIT;
    buf_printf(&bench->asked, "(%s %s %s)", spec->user, verb, wish->subresource);
    status.allowed = status.has_allowed = is_allowed(spec->user, verb, wish->subresource);
    review.status = &status;
    fake_reply(request, &review.base);
}

/* Answers one request. */
static void answer(struct bench *bench)
{
    struct fake_exchange *request = fake_first(bench->client);
    assert_non_null(request);
    if (text_eq(request->kind->kind, "TokenReview"))
        answer_token(bench, request);
    else
        answer_access(bench, request);
}

/* --- requests --- */

struct asking {
    struct http_request request;
    struct http_field fields[4];
    struct tls_peer peer;
};

static void auto_release_asking(struct asking *asking)
{
    tls_certificate_free(asking->peer.certificate);
}

static void asking_init(struct asking *asking, const char *method, const char *target,
                        struct arena *arena)
{
    *asking = (struct asking){.request = {.method = method, .remote_address = "10.0.0.9:4711"}};
    asking->request.fields.items = asking->fields;
    assert_no_error(http_target_parse(str_from(target), arena, &asking->request.target));
}

static void add_field(struct asking *asking, const char *name, const char *value)
{
    asking->fields[asking->request.fields.count++] = (struct http_field){name, value};
}

static void add_certificate(struct asking *asking, const struct test_cert *cert)
{
    asking->peer.certificate = tls_certificate_new(cert->cert, NULL);
    asking->request.peer = &asking->peer;
}

static void show(struct asking *asking, const struct credential *credential,
                 const struct world *world, struct arena *arena)
{
    if (credential->token)
        add_field(asking, "authorization", arena_printf(arena, "Bearer %s", credential->token));
    if (credential->cert)
        add_certificate(asking, (const struct test_cert *)((const char *)world + credential->cert));
}

/* "0 bob", "401 Unauthorized", … */
static const char *line_of(const struct guard_verdict *verdict, struct arena *arena)
{
    assert_int_equal(verdict->status == 0, verdict->text == NULL);
    if (verdict->status == 401)
        assert_null(verdict->user);
    else
        assert_non_null(verdict->user);
    return arena_printf(arena, "%u %s", verdict->status,
                        verdict->text ? verdict->text : verdict->user->name);
}

static void on_done(void *ctx, const struct guard_verdict *verdict)
{
    struct bench *bench = ctx;
    buf_printf(&bench->told, "[%s]", line_of(verdict, bench->arena));
}

/* Known at once, or NULL. */
static const char *start(struct bench *bench, const struct asking *asking,
                         struct guard_call **ret_call)
{
    struct guard_verdict verdict;
    *ret_call = guard_start(bench->guard, &asking->request, bench->arena, &verdict, on_done, bench);
    return *ret_call ? NULL : line_of(&verdict, bench->arena);
}

/* The verdict, however long it takes. */
static const char *judge(struct bench *bench, const struct asking *asking)
{
    struct guard_call *call;
    const char *line = start(bench, asking, &call);
    if (line)
        return line;
    assert_int_equal(bench->told.len, 0);
    while (fake_pending(bench->client) > 0)
        answer(bench);
    const char *told = buf_text(&bench->told);
    assert_true(bench->told.len > 2 && told[0] == '[');
    line = arena_strndup(bench->arena, told + 1, bench->told.len - 2);
    buf_clear(&bench->told);
    return line;
}

static const char *judge_token(struct bench *bench, const char *token, const char *target)
{
    struct asking asking;
    asking_init(&asking, "GET", target, bench->arena);
    if (token)
        add_field(&asking, "authorization", arena_printf(bench->arena, "Bearer %s", token));
    return judge(bench, &asking);
}

/* --- the matrix --- */

static const struct {
    const char *target;
    const char *subresources;
} paths[] = {
    {"/healthz", "healthz proxy"},
    {"/healthz/ping", "healthz proxy"},
    {"/pods", "pods proxy"},
    {"/runningpods/", "pods proxy"},
    {"/stats/summary", "stats"},
    {"/metrics", "metrics"},
    {"/metrics/cadvisor", "metrics"},
    {"/metrics/resource", "metrics"},
    {"/metrics/probes", "metrics"},
    {"/metrics/slis", "metrics"},
    {"/logs/", "log"},
    {"/logs/messages", "log"},
    {"/checkpoint/n/p/c", "checkpoint"},
    {"/configz", "configz proxy"},
    {"/flagz", "configz"},
    {"/statusz", "statusz"},
    {"/run/n/p/c", "proxy"},
    {"/exec/n/p/c", "proxy"},
    {"/attach/n/p/c", "proxy"},
    {"/portForward/n/p", "proxy"},
    {"/containerLogs/n/p/c", "proxy"},
    {"/debug/pprof/", "proxy"},
    {"/debug/flags/v", "proxy"},
};

static const char *const methods[][2] = {
    {"GET", "get"}, {"HEAD", ""}, {"POST", "create"}, {"OPTIONS", ""}, {"DELETE", "delete"}};

/* What must come of it, said in another way than the code says it. */
static const char *expected(const struct credential *credential, bool is_anonymous_allowed,
                            const char *verb, const char *subresources, struct arena *arena)
{
    const char *user = credential->user;
    if (text_eq(user, ""))
        user = is_anonymous_allowed ? "system:anonymous" : NULL;
    if (!user)
        return "401 Unauthorized";
    struct str rest = str_from(subresources), subresource;
    while (str_split_next(&rest, ' ', &subresource)) {
        AUTO(free) char *text = str_dup(subresource);
        if (is_allowed(user, verb, text))
            return arena_printf(arena, "0 %s", user);
    }
    return arena_printf(arena,
                        "403 Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=[%s])\n",
                        user, verb, subresources);
}

static void check_credential(const struct world *world, const struct credential *credential,
                             bool is_anonymous_allowed)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, world);
    struct guard_options options = options_for(&bench);
    options.is_anonymous_allowed = is_anonymous_allowed;
    set_options(&bench, &options);
    for (size_t i = 0; i < ARRAY_SIZE(paths) * ARRAY_SIZE(methods); i++) {
        const char *target = paths[i / ARRAY_SIZE(methods)].target;
        const char *const *method = methods[i % ARRAY_SIZE(methods)];
        const char *want = expected(credential, is_anonymous_allowed, method[1],
                                    paths[i / ARRAY_SIZE(methods)].subresources, bench.arena);
        AUTO(asking) struct asking asking;
        asking_init(&asking, method[0], target, bench.arena);
        show(&asking, credential, world, bench.arena);
        for (int again = 0; again < 2; again++) {
            size_t before = fake_started(bench.client);
            const char *got = judge(&bench, &asking);
            if (!text_eq(got, want))
                fail_msg("%s, %s %s: %s, not %s", credential->name, method[0], target, got, want);
            if (again)
                assert_int_equal(fake_started(bench.client), before);
        }
    }
}

TEST_CASE(every_credential_opens_what_it_opens_and_nothing_else)
{
    for (size_t i = 0; i < 2 * ARRAY_SIZE(credentials); i++)
        check_credential(*test_state, &credentials[i / 2], i % 2);
}

/* --- as a kubelet says it --- */

static char *read_recording(void)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    assert_non_null(data);
    AUTO(free) char *path = xasprintf("%s/recorded/http/errors.txt", data);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 1 * MiB);
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    char bytes[4 * KiB];
    for (ssize_t len; (len = read(fd, bytes, sizeof(bytes))) > 0;)
        buf_add(&text, bytes, (size_t)len);
    return buf_take(&text);
}

/* The status and body of a recorded reply as line_of() has them; NULL for other statuses. */
static const char *recorded_line(const char *reply, struct arena *arena)
{
    const char *length = strstr(reply, "Content-Length: "), *body = strstr(reply, "\n\n");
    if (!text_has_prefix(reply, "HTTP/1.1 401 ") && !text_has_prefix(reply, "HTTP/1.1 403 "))
        return NULL;
    assert_non_null(length);
    assert_non_null(body);
    int64_t len = 0;
    const char *digits = length + strlen("Content-Length: ");
    AUTO(free) char *number = xstrndup(digits, strcspn(digits, "\n"));
    assert_true(parse_i64(number, 0, 4096, &len));
    return arena_printf(arena, "%.3s %.*s", reply + strlen("HTTP/1.1 "), (int)len, body + 2);
}

TEST_CASE(refusals_are_worded_as_a_kubelet_words_them)
{
    static const char *const who[][2] = {{", no credentials\n", NULL},
                                         {", bad bearer token\n", "bad"},
                                         {", user bob (no rights)\n", "bob"}};
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    AUTO(free) char *recording = read_recording();
    size_t count = 0;
    for (const char *at = strstr(recording, "### "); at; at = strstr(at + 1, "\n### ")) {
        const char *title = at + strspn(at, "\n# "), *reply = strchr(title, '\n') + 1;
        for (size_t i = 0; i < ARRAY_SIZE(who); i++) {
            const char *comma = strstr(title, who[i][0]);
            const char *want = comma && comma < reply ? recorded_line(reply, bench.arena) : NULL;
            if (!want)
                continue;
            assert_true(text_has_prefix(title, "GET "));
            const char *target = arena_strndup(bench.arena, title + 4, (size_t)(comma - title) - 4);
            assert_string_equal(judge_token(&bench, who[i][1], target), want);
            count++;
        }
    }
    assert_int_equal(count, 16);
}

TEST_CASE(a_look_up_that_fails_is_worded_as_a_kubelet_words_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    struct guard_call *call;
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/pods", bench.arena);
    add_certificate(&asking, &bench.world->good);
    for (int i = 0; i < 2; i++) { /* the failure is not kept */
        assert_null(start(&bench, &asking, &call));
        fake_fail(fake_first(bench.client), 403, "Forbidden", "you may not ask");
        assert_text(&bench.told, "[500 Authorization error (user=admin, verb=get, resource=nodes, "
                                 "subresource=pods)]");
        assert_int_equal(fake_pending(bench.client), 0); /* later ones are not tried */
    }
    assert_string_equal(judge(&bench, &asking), "0 admin");
}

/* --- who asks --- */

TEST_CASE(nothing_is_asked_of_anybody_when_nothing_is_to_be_known)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    const struct guard_options options = {.is_anonymous_allowed = true, .node_name = "node-a"};
    set_options(&bench, &options);
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/pods", bench.arena);
    struct guard_call *call;
    assert_string_equal(start(&bench, &asking, &call), "0 system:anonymous");
    add_field(&asking, "authorization", "Bearer bad"); /* nobody looks */
    assert_string_equal(start(&bench, &asking, &call), "0 system:anonymous");
    add_certificate(&asking, &bench.world->good);
    assert_string_equal(start(&bench, &asking, &call), "0 admin");
    assert_int_equal(fake_started(bench.client), 0);
}

TEST_CASE(everybody_is_refused_when_there_is_no_way_to_be_known)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    const struct guard_options options = {.node_name = "node-a"};
    set_options(&bench, &options);
    assert_no_error(guard_set_client_ca(bench.guard, NULL));
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/healthz", bench.arena);
    add_field(&asking, "authorization", "Bearer root");
    add_certificate(&asking, &bench.world->good);
    struct guard_call *call;
    assert_string_equal(start(&bench, &asking, &call), "401 Unauthorized");
}

TEST_CASE(one_good_credential_will_do)
{
    static const struct {
        const char *name;
        size_t cert;
        const char *authorization;
        const char *subprotocols;
        const char *want, *asked;
    } rows[] = {
        {"a good certificate before a token", offsetof(struct world, good), "Bearer root", NULL,
         "0 admin", "(admin get stats)"},
        {"a token behind a bad certificate", offsetof(struct world, expired), "Bearer root", NULL,
         "0 root", "(root)(root get stats)"},
        {"a token behind a certificate without a name", offsetof(struct world, nameless),
         "Bearer root", NULL, "0 root", "(root)(root get stats)"},
        {"another scheme behind a bad certificate", offsetof(struct world, expired), "Basic x",
         NULL, "401 Unauthorized", ""},
        {"a subprotocol", 0, NULL, "v5.channel.k8s.io," SUBPROTOCOL_OF_ABC,
         "403 Forbidden (user=abc, verb=get, resource=nodes, subresource(s)=[stats])\n",
         "(abc)(abc get stats)"},
        {"a subprotocol behind a bad token", 0, "Bearer bad",
         "v5.channel.k8s.io," SUBPROTOCOL_OF_ABC,
         "403 Forbidden (user=abc, verb=get, resource=nodes, subresource(s)=[stats])\n",
         "(bad)(abc)(abc get stats)"},
        {"a token before a subprotocol that is none", 0, "Bearer root", SUBPROTOCOL_OF_ABC,
         "0 root", "(root)(root get stats)"},
        {"a token before a subprotocol", 0, "Bearer root", "v5.channel.k8s.io," SUBPROTOCOL_OF_ABC,
         "0 root", "(root)(root get stats)"},
        {"a subprotocol that is none", 0, NULL, SUBPROTOCOL_OF_ABC, "401 Unauthorized", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench, *test_state);
        struct guard_options options = options_for(&bench);
        options.is_anonymous_allowed = true; /* which a bad credential rules out */
        set_options(&bench, &options);
        AUTO(asking) struct asking asking;
        asking_init(&asking, "GET", "/stats/summary", bench.arena);
        if (rows[i].authorization)
            add_field(&asking, "authorization", rows[i].authorization);
        add_field(&asking, "connection", "upgrade");
        add_field(&asking, "upgrade", "websocket");
        if (rows[i].subprotocols)
            add_field(&asking, "sec-websocket-protocol", rows[i].subprotocols);
        if (rows[i].cert)
            add_certificate(&asking,
                            (const struct test_cert *)((const char *)bench.world + rows[i].cert));
        const char *got = judge(&bench, &asking);
        if (!text_eq(got, rows[i].want) || !text_eq(buf_text(&bench.asked), rows[i].asked))
            fail_msg("%s: %s %s", rows[i].name, got, buf_text(&bench.asked));
    }
}

TEST_CASE(other_authorities_and_time_hold_for_an_open_connection)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/pods", bench.arena);
    add_certificate(&asking, &bench.world->good);
    assert_string_equal(judge(&bench, &asking), "0 admin");
    assert_no_error(guard_set_client_ca(bench.guard, bench.world->other_ca.cert_pem));
    assert_string_equal(judge(&bench, &asking), "401 Unauthorized");
    assert_error_code(guard_set_client_ca(bench.guard, "nothing"), ERROR_INVALID_ARGUMENT);
    assert_string_equal(judge(&bench, &asking), "401 Unauthorized");
    assert_no_error(guard_set_client_ca(bench.guard, bench.world->ca.cert_pem));
    assert_string_equal(judge(&bench, &asking), "0 admin");
    fake_loop_advance(bench.loop, (TEST_CERT_DAY_S + 60) * NS_PER_SEC);
    assert_string_equal(judge(&bench, &asking), "401 Unauthorized");
}

TEST_CASE(what_a_handshake_has_verified_is_not_taken_for_what_we_verify)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    struct asking asking;
    asking_init(&asking, "GET", "/pods", bench.arena);
    asking.peer.common_name = "admin";
    asking.request.peer = &asking.peer;
    assert_string_equal(judge(&bench, &asking), "401 Unauthorized");
}

/* --- what is kept --- */

TEST_CASE(tokens_are_looked_up_once_in_their_time)
{
    static const char *const tokens[][2] = {{"root", "0 root"}, {"bad", "401 Unauthorized"}};
    for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench, *test_state);
        struct guard_options options = options_for(&bench);
        options.is_authorization_webhook = false;
        set_options(&bench, &options);
        assert_string_equal(judge_token(&bench, tokens[i][0], "/pods"), tokens[i][1]);
        fake_loop_advance(bench.loop, TOKEN_TTL_NS - 1);
        assert_string_equal(judge_token(&bench, tokens[i][0], "/pods"), tokens[i][1]);
        assert_int_equal(fake_started(bench.client), 1);
        fake_loop_advance(bench.loop, 1);
        assert_string_equal(judge_token(&bench, tokens[i][0], "/pods"), tokens[i][1]);
        assert_int_equal(fake_started(bench.client), 2);
    }
}

TEST_CASE(a_token_whose_look_up_failed_is_looked_up_again)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/pods", bench.arena);
    add_field(&asking, "authorization", "Bearer root");
    struct guard_call *call;
    assert_null(start(&bench, &asking, &call));
    fake_lose(fake_first(bench.client));
    assert_text(&bench.told, "[401 Unauthorized]");
    assert_string_equal(judge(&bench, &asking), "0 root");
}

TEST_CASE(rights_are_looked_up_once_in_their_time)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    assert_string_equal(judge_token(&bench, "proxy", "/pods"), "0 proxy");
    assert_text(&bench.asked, "(proxy)(proxy get pods)(proxy get proxy)");
    assert_string_equal(judge_token(&bench, "proxy", "/exec/n/p/c"), "0 proxy");
    fake_loop_advance(bench.loop, UNAUTHORIZED_TTL_NS);
    assert_string_equal(judge_token(&bench, "proxy", "/pods"), "0 proxy");
    assert_text(&bench.asked, "(proxy get pods)"); /* a no is kept for a shorter time */
    fake_loop_advance(bench.loop, AUTHORIZED_TTL_NS - UNAUTHORIZED_TTL_NS);
    assert_string_equal(judge_token(&bench, "proxy", "/pods"), "0 proxy");
    assert_text(&bench.asked, "(proxy)(proxy get pods)(proxy get proxy)");
}

TEST_CASE(rights_to_an_endless_path_are_not_kept)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    char target[11000] = "/exec/";
    memset(target + strlen("/exec/"), 'x', sizeof(target) - strlen("/exec/") - 1);
    target[sizeof(target) - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        assert_string_equal(judge_token(&bench, "root", target), "0 root");
        assert_text(&bench.asked, i == 0 ? "(root)(root get proxy)" : "(root get proxy)");
    }
}

/* --- many at once, and those who leave --- */

TEST_CASE(equal_requests_share_their_look_ups)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/stats/summary", bench.arena);
    add_field(&asking, "authorization", "Bearer stats");
    struct guard_call *calls[3];
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        assert_null(start(&bench, &asking, &calls[i]));
    assert_int_equal(fake_pending(bench.client), 1);
    answer(&bench);
    assert_int_equal(fake_pending(bench.client), 1);
    answer(&bench);
    assert_text(&bench.told, "[0 stats][0 stats][0 stats]");
    assert_text(&bench.asked, "(stats)(stats get stats)");
}

TEST_CASE(who_leaves_hears_nothing_and_the_answer_is_kept)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/stats/summary", bench.arena);
    add_field(&asking, "authorization", "Bearer stats");
    struct guard_call *call;
    guard_cancel(NULL);
    assert_null(start(&bench, &asking, &call));
    guard_cancel(call);
    answer(&bench); /* the token */
    assert_int_equal(fake_pending(bench.client), 0);
    assert_null(start(&bench, &asking, &call));
    assert_text(&bench.asked, "(stats)");
    guard_cancel(call);
    answer(&bench); /* the rights */
    assert_text(&bench.told, "");
    assert_string_equal(start(&bench, &asking, &call), "0 stats");
}

TEST_CASE(a_guard_may_go_with_requests_under_way)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/pods", bench.arena);
    add_field(&asking, "authorization", "Bearer root");
    struct guard_call *calls[3];
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        assert_null(start(&bench, &asking, &calls[i]));
    guard_free(TAKE(bench.guard));
    assert_text(&bench.told, "");
}

TEST_CASE(a_flood_of_tokens_is_refused_and_known_ones_are_not)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    assert_string_equal(judge_token(&bench, "root", "/pods"), "0 root");
    struct guard_call *call;
    AUTO(asking) struct asking asking;
    for (size_t i = 0; i <= REVIEWS_UNDER_WAY; i++) {
        asking_init(&asking, "GET", "/pods", bench.arena);
        add_field(&asking, "authorization", arena_printf(bench.arena, "Bearer t%zu", i));
        const char *line = start(&bench, &asking, &call);
        assert_true(text_eq(line, i < REVIEWS_UNDER_WAY ? NULL : "401 Unauthorized"));
        guard_cancel(call);
    }
    assert_int_equal(fake_pending(bench.client), REVIEWS_UNDER_WAY);
    asking_init(&asking, "GET", "/pods", bench.arena);
    add_field(&asking, "authorization", "Bearer root");
    assert_string_equal(start(&bench, &asking, &call), "0 root");
}

/* --- the rest --- */

TEST_CASE(look_ups_and_certificates_are_counted)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, *test_state);
    assert_string_equal(judge_token(&bench, "stats", "/stats/summary"), "0 stats");
    assert_string_equal(judge_token(&bench, "stats", "/stats/summary"), "0 stats");
    AUTO(asking) struct asking asking;
    asking_init(&asking, "GET", "/pods", bench.arena);
    add_certificate(&asking, &bench.world->good);
    assert_string_equal(judge(&bench, &asking), "0 admin");
    AUTO(asking) struct asking expired;
    asking_init(&expired, "GET", "/pods", bench.arena);
    add_certificate(&expired, &bench.world->expired);
    assert_string_equal(judge(&bench, &expired), "401 Unauthorized");
    AUTO(free) char *text = metrics_text(bench.metrics);
    static const char *const want[] = {
        "apiserver_client_certificate_expiration_seconds 2 sum ",
        "apiserver_delegated_authn_request_duration_seconds{code=200} 1 sum 0\n",
        "apiserver_delegated_authn_request_total{code=200} 1\n",
        "apiserver_delegated_authz_request_duration_seconds{code=200} 2 sum 0\n",
        "apiserver_delegated_authz_request_total{code=200} 2\n",
        "authentication_token_cache_active_fetch_count{status=in_flight} 0\n",
        "authentication_token_cache_fetch_total{status=ok} 1\n",
        "authentication_token_cache_request_duration_seconds{status=miss} 1 sum 0\n",
        "authentication_token_cache_request_total{status=hit} 1\n",
        "authentication_token_cache_request_total{status=miss} 1\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        if (!strstr(text, want[i]))
            fail_msg("no %s in\n%s", want[i], text);
    }
}

TEST_CASE(a_webhook_needs_a_client)
{
    static const struct {
        bool is_token_webhook, is_authorization_webhook, has_client;
        const char *want;
    } rows[] = {
        {false, false, false, NULL},
        {true, true, true, NULL},
        {true, false, false, "no client provided, cannot use webhook authentication"},
        {false, true, false, "no client provided, cannot use webhook authorization"},
        {true, true, false, "no client provided, cannot use webhook authentication"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct config_server config = {.is_token_webhook = rows[i].is_token_webhook,
                                             .is_authorization_webhook =
                                                 rows[i].is_authorization_webhook};
        AUTO(error) struct error *err = guard_check_config(&config, rows[i].has_client);
        assert_true(text_eq(err ? err->message : NULL, rows[i].want));
    }
}

TEST_CASE(what_is_passed_on_does_not_tell_the_credentials)
{
    static const struct http_field items[] = {
        {"authorization", "Bearer abc"},
        {"sec-websocket-protocol", "v5.channel.k8s.io, " SUBPROTOCOL_OF_ABC},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct http_fields fields = {items, ARRAY_SIZE(items)};
    const struct http_fields cleaned = guard_clean_fields(&fields, arena);
    assert_int_equal(cleaned.count, 1);
    assert_string_equal(cleaned.items[0].value, "v5.channel.k8s.io");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_credential_opens_what_it_opens_and_nothing_else),
        TEST(refusals_are_worded_as_a_kubelet_words_them),
        TEST(a_look_up_that_fails_is_worded_as_a_kubelet_words_it),
        TEST(nothing_is_asked_of_anybody_when_nothing_is_to_be_known),
        TEST(everybody_is_refused_when_there_is_no_way_to_be_known),
        TEST(one_good_credential_will_do),
        TEST(other_authorities_and_time_hold_for_an_open_connection),
        TEST(what_a_handshake_has_verified_is_not_taken_for_what_we_verify),
        TEST(tokens_are_looked_up_once_in_their_time),
        TEST(a_token_whose_look_up_failed_is_looked_up_again),
        TEST(rights_are_looked_up_once_in_their_time),
        TEST(rights_to_an_endless_path_are_not_kept),
        TEST(equal_requests_share_their_look_ups),
        TEST(who_leaves_hears_nothing_and_the_answer_is_kept),
        TEST(a_guard_may_go_with_requests_under_way),
        TEST(a_flood_of_tokens_is_refused_and_known_ones_are_not),
        TEST(look_ups_and_certificates_are_counted),
        TEST(a_webhook_needs_a_client),
        TEST(what_is_passed_on_does_not_tell_the_credentials),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
