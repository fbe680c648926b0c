#include "wire/byte_queue.h"

#include "tests/lib/test.h"

TEST_CASE(bytes_leave_in_the_order_they_came)
{
    struct byte_queue queue;
    byte_queue_init(&queue, MiB);
    size_t in = 0, out = 0;
    while (out < 2000000) {
        for (size_t i = 0; i < 70000 && in < 2000000; i++, in++)
            buf_add_char(byte_queue_end(&queue), (char)(in % 251));
        struct str front = byte_queue_front(&queue);
        assert_int_equal(front.len, in - out);
        assert_int_equal(byte_queue_len(&queue), front.len);
        size_t taken = min_size(front.len, in < 2000000 ? 60001 : 400000);
        for (size_t i = 0; i < taken; i++)
            assert_int_equal(front.ptr[i], (char)((out + i) % 251));
        byte_queue_take(&queue, taken);
        out += taken;
    }
    assert_false(byte_queue_has_overflowed(&queue));
    byte_queue_done(&queue);
}

TEST_CASE(an_empty_queue_holds_no_memory)
{
    struct byte_queue queue;
    byte_queue_init(&queue, 100);
    assert_null(queue.buf.data);
    buf_add_text(byte_queue_end(&queue), "abc");
    byte_queue_take(&queue, 2);
    assert_true(str_eq_c(byte_queue_front(&queue), "c"));
    byte_queue_take(&queue, 7);
    assert_int_equal(byte_queue_len(&queue), 0);
    assert_null(queue.buf.data);
    byte_queue_done(&queue);
}

TEST_CASE(what_does_not_fit_is_not_forgotten)
{
    struct byte_queue queue;
    byte_queue_init(&queue, 4);
    buf_add_text(byte_queue_end(&queue), "abc");
    buf_add_text(byte_queue_end(&queue), "de");
    assert_true(byte_queue_has_overflowed(&queue));
    byte_queue_take(&queue, 3);
    assert_true(byte_queue_has_overflowed(&queue));
    buf_add_text(byte_queue_end(&queue), "f");
    assert_int_equal(byte_queue_len(&queue), 0);
    byte_queue_done(&queue);
}

TEST_MAIN(TEST(bytes_leave_in_the_order_they_came), TEST(an_empty_queue_holds_no_memory),
          TEST(what_does_not_fit_is_not_forgotten))
