/*
 * kubecodec: converts Kubernetes objects between JSON, YAML and protobuf, from standard input to
 * standard output. A tool for people who debug. Exit codes: 0 all is well, 1 the input is no such
 * object or an end of the pipe failed, 2 it was called in a wrong way.
 */
#include "base/base.h"
#include "kube/watch_frame.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#define INPUT_MAX_BYTES (256 * MiB) /* lists may be large, and memory is the caller's here */
#define OUTPUT_MAX_BYTES (8 * INPUT_MAX_BYTES)
#define PIECE_BYTES ((size_t)64 * 1024)

static const char usage[] =
    "Usage: kubecodec --from FORMAT --to FORMAT [--tolerant] [--watch]\n"
    "\n"
    "Converts Kubernetes objects from standard input to standard output. Formats are json, yaml\n"
    "and protobuf, the latter in Kubernetes' envelope (\"k8s\\0\"). Lists, a v1 List and streams "
    "of\n"
    "several documents are kept as they are.\n"
    "\n"
    "  --from FORMAT  what comes in\n"
    "  --to FORMAT    what goes out\n"
    "  --tolerant     drop fields that are not known instead of refusing them (protobuf: always)\n"
    "  --watch        the input is the body of a watch: events, until it ends\n"
    "  --help         print this\n"
    "  --version      print the version\n";

static const char *const encoding_names[] = {
    [KUBE_JSON] = "json", [KUBE_YAML] = "yaml", [KUBE_PROTOBUF] = "protobuf"};

struct options {
    enum kube_encoding from, to;
    bool has_from, has_to;
    bool is_tolerant;
    bool is_watch;
};

/* --- input and output --- */

/* One piece of standard input, 0 bytes at its end. */
static struct error *read_piece(char *piece, size_t size, size_t *ret_len)
{
    ssize_t len;
    do
        len = read(STDIN_FILENO, piece, size);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return error_from_errno(errno, "reading standard input");
    *ret_len = (size_t)len;
    return NULL;
}

static struct error *read_input(struct buf *input)
{
    AUTO(free) char *piece = xcalloc(1, PIECE_BYTES);
    for (size_t len = 1; len > 0;) {
        struct error *err = read_piece(piece, PIECE_BYTES, &len);
        if (err)
            return err;
        buf_add(input, piece, len);
        err = buf_error(input, "the input");
        if (err)
            return err;
    }
    return NULL;
}

/* Empties @output into standard output. */
static struct error *write_output(struct buf *output)
{
    struct error *err = buf_error(output, "the output");
    struct str rest = buf_str(output);
    while (!err && rest.len > 0) {
        ssize_t len = write(STDOUT_FILENO, rest.ptr, rest.len);
        if (len < 0 && errno != EINTR)
            err = error_from_errno(errno, "writing to standard output");
        if (len > 0)
            rest = (struct str){.ptr = rest.ptr + len, .len = rest.len - (size_t)len};
    }
    buf_clear(output);
    return err;
}

/* --- documents --- */

struct converter {
    enum kube_encoding to;
    size_t count; /* of documents so far */
    struct buf output;
};

static struct error *convert_document(void *ctx, const struct kube_document *document)
{
    struct converter *converter = ctx;
    if (converter->to == KUBE_PROTOBUF && converter->count > 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "several documents have no protobuf form: put them into a v1 List");
    if (converter->to == KUBE_YAML && converter->count > 0)
        buf_add_text(&converter->output, "---\n");
    converter->count++;
    kube_encode_any_document(document, converter->to, &converter->output);
    if (converter->to == KUBE_JSON)
        buf_add_char(&converter->output, '\n');
    return buf_error(&converter->output, "the output");
}

/* Writes nothing unless all of the input is good. */
static struct error *convert_input(const struct options *options)
{
    const struct kube_decode_options decode = {
        .unknown = options->is_tolerant ? KUBE_UNKNOWN_TOLERANT : KUBE_UNKNOWN_STRICT,
        .max_bytes = INPUT_MAX_BYTES,
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf input;
    struct converter converter = {.to = options->to};
    buf_init(&input, INPUT_MAX_BYTES);
    buf_init(&converter.output, OUTPUT_MAX_BYTES);
    struct error *err = read_input(&input);
    if (!err)
        err = kube_decode_documents(buf_str(&input), options->from, &decode, arena,
                                    convert_document, &converter);
    if (!err && converter.count == 0)
        err = error_new(ERROR_INVALID_ARGUMENT, "the input holds no object");
    if (!err)
        err = write_output(&converter.output);
    buf_done(&converter.output);
    return err;
}

/* --- watches --- */

static struct error *convert_events(struct watch_decoder *decoder, enum kube_encoding to,
                                    struct buf *output)
{
    for (bool has = true; has;) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct watch_event event;
        struct error *err = watch_decoder_next(decoder, arena, &has, &event);
        if (err)
            return err;
        if (has)
            watch_frame_encode(&event, to, output);
    }
    return NULL;
}

/* Events go out as they come in. */
static struct error *convert_watch(const struct options *options)
{
    AUTO(watch_decoder) struct watch_decoder *decoder = watch_decoder_new(options->from);
    AUTO(free) char *piece = xcalloc(1, PIECE_BYTES);
    AUTO(buf) struct buf output;
    buf_init(&output, OUTPUT_MAX_BYTES);
    if (!options->is_tolerant)
        watch_decoder_refuse_unknown(decoder);
    for (size_t len = 1; len > 0;) {
        struct error *err = read_piece(piece, PIECE_BYTES, &len);
        if (err)
            return err;
        /* What came whole before something bad is still written. */
        AUTO(error)
        struct error *fed = watch_decoder_feed(decoder, (struct str){.ptr = piece, .len = len});
        AUTO(error) struct error *converted = convert_events(decoder, options->to, &output);
        err = write_output(&output);
        if (err)
            return err;
        if (converted)
            return TAKE(converted);
        if (fed)
            return TAKE(fed);
    }
    if (watch_decoder_is_partial(decoder))
        return error_new(ERROR_INVALID_ARGUMENT, "the input ends in the middle of an event");
    return NULL;
}

/* --- the command line --- */

static bool parse_encoding(const char *option, const char *name, enum kube_encoding *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(encoding_names); i++) {
        if (text_eq(encoding_names[i], name)) {
            *ret = (enum kube_encoding)i;
            return true;
        }
    }
    (void)fprintf(stderr, "kubecodec: --%s: \"%s\" is none of json, yaml, protobuf\n", option,
                  name);
    return false;
}

enum { OPTION_FROM = 1, OPTION_TO, OPTION_TOLERANT, OPTION_WATCH, OPTION_HELP, OPTION_VERSION };

/* False when there is nothing to convert; *ret_code is the exit code then. */
static bool parse_options(int argc, char **argv, struct options *ret, int *ret_code)
{
    static const struct option known[] = {
        {"from", required_argument, NULL, OPTION_FROM},
        {"to", required_argument, NULL, OPTION_TO},
        {"tolerant", no_argument, NULL, OPTION_TOLERANT},
        {"watch", no_argument, NULL, OPTION_WATCH},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    int option;
    *ret_code = 2;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case OPTION_FROM:
            ret->has_from = parse_encoding("from", optarg, &ret->from);
            if (!ret->has_from)
                return false;
            break;
        case OPTION_TO:
            ret->has_to = parse_encoding("to", optarg, &ret->to);
            if (!ret->has_to)
                return false;
            break;
        case OPTION_TOLERANT:
            ret->is_tolerant = true;
            break;
        case OPTION_WATCH:
            ret->is_watch = true;
            break;
        case OPTION_HELP:
            (void)fputs(usage, stdout);
            *ret_code = 0;
            return false;
        case OPTION_VERSION:
            (void)puts("kubecodec " CUBELET_VERSION);
            *ret_code = 0;
            return false;
        default: /* getopt_long() has said what is wrong */
            (void)fputs(usage, stderr);
            return false;
        }
    }
    return true;
}

/* NULL when the options make sense together. */
static const char *misuse(const struct options *options, bool has_arguments)
{
    if (has_arguments)
        return "unexpected argument: objects come from standard input";
    if (!options->has_from || !options->has_to)
        return "--from and --to are needed";
    if (options->is_watch && options->from == KUBE_YAML)
        return "--watch: a watch has no YAML form to read";
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options = {.has_from = false};
    int code;
    if (!parse_options(argc, argv, &options, &code))
        return code;
    const char *wrong = misuse(&options, optind < argc);
    if (wrong) {
        (void)fprintf(stderr, "kubecodec: %s\n%s", wrong, usage);
        return 2;
    }
    AUTO(error)
    struct error *err = options.is_watch ? convert_watch(&options) : convert_input(&options);
    if (err)
        (void)fprintf(stderr, "kubecodec: %s\n", err->message);
    return err ? 1 : 0;
}
