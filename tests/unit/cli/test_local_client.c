#include "cli/local_client.h"
#include "tests/lib/tempdir.h"

TEST_CASE(texts_are_encoded_for_a_path)
{
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    local_client_add_encoded(&out, "a-Z_0.~/?&= \xc3\xa9");
    assert_string_equal(buf_text(&out), "a-Z_0.~%2F%3F%26%3D%20%C3%A9");
}

TEST_CASE(the_head_of_a_reply_is_read_once_it_is_complete)
{
    static const struct {
        const char *bytes;
        bool complete, bad;
        int64_t code;
        size_t len;
    } rows[] = {
        {"", false, false, 0, 0},
        {"HTTP/1.0 200 OK\r\nA: b\r\n", false, false, 0, 0},
        {"HTTP/1.0 200 OK\r\n\r\nbody", true, false, 200, 19},
        {"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n", true, false, 404, 32},
        {"HTTP/1.1 204\r\n\r\n", true, false, 204, 16},
        {"SSH-2.0\r\n\r\n", false, true, 0, 0},
        {"HTTP/1.1 abc\r\n\r\n", false, true, 0, 0},
        {"HTTP/1.1\r\n\r\n", false, true, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct reply_head head = {0};
        AUTO(error) struct error *err = NULL;
        assert_int_equal(local_client_parse_head(str_from(rows[i].bytes), &head, &err),
                         rows[i].complete);
        assert_int_equal(err != NULL, rows[i].bad);
        assert_int_equal(head.code, rows[i].code);
        assert_int_equal(head.len, rows[i].len);
    }
}

TEST_CASE(an_absent_socket_is_explained)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = path_join(dir, "cubelet.sock");
    AUTO(free)
    char *want = xasprintf(
        "cannot reach the node agent at %s: No such file or directory (is cubelet running? "
        "--local-socket names another socket)",
        path);
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    assert_error_message(local_client_get(path, "/pods", &out), want);
}

TEST_MAIN(TEST(texts_are_encoded_for_a_path), TEST(the_head_of_a_reply_is_read_once_it_is_complete),
          TEST(an_absent_socket_is_explained))
