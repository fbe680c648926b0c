/*
 * The states in order; each sends one call and its reply moves on. Whatever fails ends the attempt,
 * but for RuntimeConfig, which is tried three times, two seconds apart, and which a runtime may not
 * know at all:
 *
 *     VALIDATE_RUNTIME → VALIDATE_IMAGE → RUNTIME_CONFIG ⇄ PAUSE → VERSION → done
 */
#include "cri/cri_handshake.h"

#include "cri/cri_methods.h"

/* Upstream's numbers for RuntimeConfig. */
#define CONFIG_TRIES 3
#define CONFIG_PAUSE_NS (2 * NS_PER_SEC)
/* The version that Kubernetes asks for, and the only one it accepts; unrelated to the "v1" of the
 * CRI. */
#define RUNTIME_API_VERSION "0.1.0"

enum connect_state {
    CONNECT_VALIDATE_RUNTIME,
    CONNECT_VALIDATE_IMAGE,
    CONNECT_RUNTIME_CONFIG,
    CONNECT_PAUSE,
    CONNECT_VERSION,
};

struct cri_connect {
    struct pod_runtime *runtime;
    char *runtime_endpoint;
    char *image_endpoint;
    cri_on_handshake *on_done;
    void *ctx;
    enum connect_state state;
    unsigned config_tries;
    struct runtime_call *call; /* NULL in PAUSE */
    struct loop_timer *pause;
    struct cri_handshake handshake;
};

static void connect_free(struct cri_connect *connect)
{
    runtime_call_cancel(connect->runtime, connect->call);
    loop_timer_free(connect->pause);
    free(connect->runtime_endpoint);
    free(connect->image_endpoint);
    free(connect);
}

static void finish(struct cri_connect *connect, const struct cri_handshake *handshake,
                   struct error *err_owned)
{
    cri_on_handshake *on_done = connect->on_done;
    void *ctx = connect->ctx;
    connect_free(connect);
    on_done(ctx, handshake, err_owned);
}

static void on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned);

static void enter(struct cri_connect *connect, enum connect_state state)
{
    char accepted_version[] = RUNTIME_API_VERSION;
    Cri__VersionRequest version = CRI__VERSION_REQUEST__INIT;
    enum runtime_method method = RUNTIME_VERSION;
    const ProtobufCMessage *request = NULL;
    connect->state = state;
    switch (state) {
    case CONNECT_VALIDATE_RUNTIME:
        request = &version.base;
        break;
    case CONNECT_VALIDATE_IMAGE:
        method = IMAGE_IMAGE_FS_INFO;
        break;
    case CONNECT_RUNTIME_CONFIG:
        method = RUNTIME_RUNTIME_CONFIG;
        break;
    case CONNECT_PAUSE:
        loop_timer_start(connect->pause, CONFIG_PAUSE_NS);
        return;
    case CONNECT_VERSION:
        version.version = accepted_version;
        request = &version.base;
        break;
    }
    connect->call = runtime_call_start(connect->runtime, method, request, 0, on_reply, connect);
}

static void on_pause_over(void *ctx)
{
    enter(ctx, CONNECT_RUNTIME_CONFIG);
}

static struct error *read_cgroup_driver(struct cri_handshake *handshake,
                                        const Cri__RuntimeConfigResponse *config)
{
    if (!config->linux)
        return NULL;
    const int driver = (int)config->linux->cgroup_driver;
    if (driver == CRI__CGROUP_DRIVER__SYSTEMD)
        handshake->cgroup_driver = CRI_CGROUP_DRIVER_SYSTEMD;
    else if (driver == CRI__CGROUP_DRIVER__CGROUPFS)
        handshake->cgroup_driver = CRI_CGROUP_DRIVER_CGROUPFS;
    else
        return error_new(ERROR_UNKNOWN, "runtime returned an unknown cgroup driver %d", driver);
    return NULL;
}

static void on_config(struct cri_connect *connect, const Cri__RuntimeConfigResponse *config,
                      struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    connect->config_tries++;
    if (error_is(err, ERROR_UNIMPLEMENTED)) {
        connect->handshake.lacks_runtime_config = true;
        enter(connect, CONNECT_VERSION);
        return;
    }
    if (err && connect->config_tries < CONFIG_TRIES) {
        enter(connect, CONNECT_PAUSE);
        return;
    }
    struct error *fatal =
        err ? cri_error_as_rpc(TAKE(err)) : read_cgroup_driver(&connect->handshake, config);
    if (fatal)
        finish(connect, NULL, fatal);
    else
        enter(connect, CONNECT_VERSION);
}

static void on_version(struct cri_connect *connect, const Cri__VersionResponse *version,
                       struct error *err_owned)
{
    if (err_owned) {
        finish(connect, NULL, cri_error_as_rpc(err_owned));
        return;
    }
    if (!text_eq(version->version, RUNTIME_API_VERSION)) {
        finish(connect, NULL,
               error_new(ERROR_FAILED_PRECONDITION, "runtime api version is not supported"));
        return;
    }
    struct cri_handshake handshake = connect->handshake;
    handshake.runtime_name = version->runtime_name;
    handshake.runtime_version = version->runtime_version;
    finish(connect, &handshake, NULL);
}

static struct error *validation_error(struct error *err_owned, const char *api,
                                      const char *endpoint)
{
    return error_wrap(cri_error_as_rpc(err_owned),
                      "validate service connection: validate CRI v1 %s API for endpoint \"%s\"",
                      api, endpoint);
}

static void on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct cri_connect *connect = ctx;
    const void *message = reply;
    connect->call = NULL;
    switch (connect->state) {
    case CONNECT_VALIDATE_RUNTIME:
        if (err_owned)
            finish(connect, NULL,
                   validation_error(err_owned, "runtime", connect->runtime_endpoint));
        else
            enter(connect, CONNECT_VALIDATE_IMAGE);
        break;
    case CONNECT_VALIDATE_IMAGE:
        if (err_owned)
            finish(connect, NULL, validation_error(err_owned, "image", connect->image_endpoint));
        else
            enter(connect, CONNECT_RUNTIME_CONFIG);
        break;
    case CONNECT_RUNTIME_CONFIG:
        on_config(connect, message, err_owned);
        break;
    case CONNECT_VERSION:
        on_version(connect, message, err_owned);
        break;
    case CONNECT_PAUSE:
        error_ignore(err_owned, "no call is under way in a pause");
        break;
    }
}

struct cri_connect *cri_connect_start(struct loop *loop, struct pod_runtime *runtime,
                                      const struct cri_connect_options *options,
                                      cri_on_handshake *on_done, void *ctx)
{
    struct cri_connect *connect = xcalloc(1, sizeof(*connect));
    connect->runtime = runtime;
    bool has_image_endpoint = options->image_endpoint && *options->image_endpoint;
    connect->runtime_endpoint = xstrdup(options->runtime_endpoint);
    connect->image_endpoint =
        xstrdup(has_image_endpoint ? options->image_endpoint : options->runtime_endpoint);
    connect->on_done = on_done;
    connect->ctx = ctx;
    connect->pause = loop_timer_new(loop, "cri handshake", on_pause_over, connect);
    enter(connect, CONNECT_VALIDATE_RUNTIME);
    return connect;
}

void cri_connect_cancel(struct cri_connect *connect)
{
    if (connect)
        connect_free(connect);
}
