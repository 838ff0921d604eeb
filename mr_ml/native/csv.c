/* CSV text. */
#include "four_fields.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

PyDoc_STRVAR(read_floats_doc, "read_floats(buffer, starts, ends, values, left)\n\n"
                              "values[i] = the number buffer[starts[i]:ends[i]], sign of zero included. Fields that are\n"
                              "not plainly one are numbered in left; returns how many.");

static PyObject *read_floats(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {1, 8, 8, 8, 8};
    Buffer b[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 3))
            goto done;
    const char *buffer = b[0].view.buf, *stop = buffer + items(&b[0]);
    const int64_t *starts = b[1].view.buf, *ends = b[2].view.buf;
    double *values = b[3].view.buf;
    int64_t *left = b[4].view.buf;
    Py_ssize_t n = items(&b[1]), n_left = 0;
    if (items(&b[2]) != n || items(&b[3]) != n || items(&b[4]) != n) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (starts[i] < 0 || starts[i] > ends[i] || ends[i] > items(&b[0])) {
            PyErr_SetString(PyExc_ValueError, "a field is out of range");
            goto done;
        }
        const char *first = buffer + starts[i], *last = buffer + ends[i], *end = NULL;
        /* what follows the field must not read like more of the number */
        if (first < last && last < stop && !is_digit((unsigned char)*last) && !memchr(".eE+-", *last, 5))
            values[i] = read_value(first, stop, &end);
        if (end != last)
            left[n_left++] = i;
    }
    result = PyLong_FromSsize_t(n_left);
done:
    release(b, 5);
    return result;
}

PyDoc_STRVAR(read_csv_doc,
             "read_csv(text, delimiter, n_columns, values, ends, left)\n\n"
             "Read whole lines of n_columns fields: the number that each field plainly is, NaN where it is something\n"
             "else, and where it ends. Fields of the second kind are numbered in left. Returns how many rows and how\n"
             "many such fields there are; or None if anything is unusual: quotes, bytes outside ASCII, carriage returns,\n"
             "blanks around a field, empty lines, or another number of fields.");

/* For so many chunks fields are not read four at a time once that was in vain for half of a chunk. */
#define RESTING 32

/* So much text that where its fields end stays near the processor, and the ends that most 64 bytes of it have. */
#define CHUNK 4096
#define ENDS_AT_ONCE 12

/* Where fields end in text, of at most CHUNK bytes: how many, and their offsets. There is room for ENDS_AT_ONCE more. */
static ALWAYS_INLINE Py_ssize_t find_ends(const char *text, Py_ssize_t size, char delimiter, uint16_t *ends)
{
    Py_ssize_t n = 0, at = 0;
#ifdef __SSE2__
    const __m128i delimiters = _mm_set1_epi8(delimiter), feeds = _mm_set1_epi8('\n');
    for (; size - at >= 64; at += 64) {
        uint64_t found = 0;
        for (int k = 0; k < 4; k++) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(text + at) + k);
            __m128i equal = _mm_or_si128(_mm_cmpeq_epi8(bytes, delimiters), _mm_cmpeq_epi8(bytes, feeds));
            found |= (uint64_t)(uint32_t)_mm_movemask_epi8(equal) << 16 * k;
        }
        /* as many as there mostly are at the most, so that the processor foresees the end; what is too much is written
         * over */
        int count = __builtin_popcountll(found);
        for (int k = 0; k < ENDS_AT_ONCE; k++, found &= found - 1)
            ends[n + k] = (uint16_t)(at + __builtin_ctzll(found | 1ULL << 63));
        for (int k = ENDS_AT_ONCE; k < count; k++, found &= found - 1)
            ends[n + k] = (uint16_t)(at + __builtin_ctzll(found));
        n += count;
    }
#endif
    for (; at < size; at++)
        if (text[at] == delimiter || text[at] == '\n')
            ends[n++] = (uint16_t)at;
    return n;
}

/* Read a field that is not as plain as most: 1 if it is a number, 0 if it is something else, -1 if that is unusual. */
static NOT_INLINE int read_other(const char *first, const char *last, const char *stop, double *value)
{
    const char *end;
    *value = read_number(first, stop, &end);
    if (end == last)
        return 1;
    *value = NAN;
    for (const char *p = first; p < last; p++)
        if (*p == '"' || *p == '\r' || !*p || (unsigned char)*p >= 0x80)
            return -1;
    return last > first && (is_blank(*first) || is_blank(last[-1])) ? -1 : 0;
}

/* What read_csv does, in terms of it: the number of rows, or -1 if anything is unusual. */
EACH_GENERATION static Py_ssize_t read_lines(const char *text, Py_ssize_t size, char delimiter, Py_ssize_t n_columns,
                                             Py_ssize_t room, double *restrict values, int64_t *restrict ends,
                                             int64_t *restrict left, Py_ssize_t *n_left)
{
    uint16_t found[CHUNK + ENDS_AT_ONCE];
    uint8_t are_read[CHUNK / AT_ONCE + 1];
    Py_ssize_t at = 0, others = 0, until_last = n_columns;
    int resting = reads_four_fields() ? 0 : -1;
    const char *first = text;
    for (Py_ssize_t from = 0; from < size; from += CHUNK) {
        Py_ssize_t n = find_ends(text + from, size - from < CHUNK ? size - from : CHUNK, delimiter, found);
        if (n > room - at)
            return -1;
        memset(are_read, 0, (size_t)n / AT_ONCE + 1);
        if (resting > 0)
            resting--;
        else if (!resting && n > AT_ONCE && from + found[AT_ONCE] >= WORD_BYTES &&
                 read_four_fields(text + from, found, n, values + at, are_read) > n / AT_ONCE / 2)
            resting = RESTING;
        for (Py_ssize_t k = 0; k < n; k++, at++) {
            const char *last = text + from + found[k];
            int is_last = !--until_last;
            if (*last != (is_last ? '\n' : delimiter))
                return -1;
            if (are_read[k / AT_ONCE])
                ;
            else if (last - text < FIELD_BYTES || !read_field(first, last, values + at)) {
                int known = read_other(first, last, text + size, values + at);
                if (known < 0 || (first == last && n_columns == 1)) /* which is an empty line */
                    return -1;
                if (!known)
                    left[others++] = at;
            }
            ends[at] = last - text;
            first = last + 1;
            until_last = is_last ? n_columns : until_last;
        }
    }
    *n_left = others;
    return until_last < n_columns ? -1 : at / n_columns;
}

static PyObject *read_csv(PyObject *self, PyObject *args)
{
    PyObject *objects[3];
    Py_buffer whole;
    Py_ssize_t n_columns, n_rows, n_left = 0;
    int delimiter;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*inOOO", &whole, &delimiter, &n_columns, &objects[0], &objects[1], &objects[2]))
        return NULL;
    static const Py_ssize_t sizes[3] = {8, 8, 8};
    Buffer out[3] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 3; k++)
        if (!acquire(objects[k], &out[k], sizes[k], 1))
            goto done;
    double *values = out[0].view.buf;
    int64_t *ends = out[1].view.buf, *left = out[2].view.buf;
    Py_ssize_t room = items(&out[0]);
    if (n_columns < 1 || items(&out[1]) != room || items(&out[2]) != room) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    const char *text = whole.buf;
    if (!whole.len || text[whole.len - 1] != '\n')
        goto unusual;
    n_rows = read_lines(text, whole.len, (char)delimiter, n_columns, room, values, ends, left, &n_left);
    if (n_rows < 0)
        goto unusual;
    result = Py_BuildValue("nn", n_rows, n_left);
    goto done;
unusual:
    result = Py_None;
    Py_INCREF(result);
done:
    release(out, 3);
    PyBuffer_Release(&whole);
    return result;
}

PyMethodDef csv_methods[] = {
    {"read_floats", read_floats, METH_VARARGS, read_floats_doc},
    {"read_csv", read_csv, METH_VARARGS, read_csv_doc},
    {NULL, NULL, 0, NULL},
};
