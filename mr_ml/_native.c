/* Compiled inner loops, optional: mr_ml runs without them on plain numpy and scipy, with the same bits.
 *
 * Every function works on buffers that the caller allocated (numpy arrays through the buffer protocol) and checks
 * their sizes. Floating-point additions happen in the order in which scipy's kernels do them, one rounding each: this
 * file is compiled with -ffp-contract=off.
 */
#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eight digits are read as one little-endian word; mr_ml does without this file elsewhere"
#endif

/* ---------------------------------------------------------------------------------------------- buffers */

typedef struct {
    Py_buffer view;
    int held;
} Buffer;

/* itemsize 0: any. Returns 0 and sets an exception if the object is no contiguous buffer of these items. */
static int acquire(PyObject *object, Buffer *buffer, Py_ssize_t itemsize, int writable)
{
    buffer->held = 0;
    if (PyObject_GetBuffer(object, &buffer->view, writable ? PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE : PyBUF_C_CONTIGUOUS))
        return 0;
    buffer->held = 1;
    if (itemsize && buffer->view.itemsize != itemsize) {
        PyErr_Format(PyExc_TypeError, "expected items of %zd bytes, found %zd", itemsize, buffer->view.itemsize);
        return 0;
    }
    return 1;
}

static void release(Buffer *buffers, int n)
{
    for (int k = 0; k < n; k++)
        if (buffers[k].held)
            PyBuffer_Release(&buffers[k].view);
}

static Py_ssize_t items(const Buffer *buffer)
{
    return buffer->view.len / buffer->view.itemsize;
}

/* ---------------------------------------------------------------------------------------------- libsvm text */

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define MAX_NUMBER 64

static inline int is_digit(unsigned char c)
{
    return (unsigned)(c - '0') < 10;
}

/* Read [+-]digits[.digits][e[+-]digits] at p; the number, and one past its end in *end, or NULL there if it is not
 * one. Exact: a mantissa below 2^53 times or over a power of ten up to 10^22 is one rounding (Clinger 1990); what is
 * longer goes through Python's own conversion. The text is followed by at least one byte that is no part of a number. */
static double read_number(const char *p, const char **end)
{
    const char *start = p;
    int negative = 0, n_digits = 0, exponent = 0, seen = 0;
    uint64_t mantissa = 0;
    if (*p == '-' || *p == '+')
        negative = *p++ == '-';
    for (; is_digit((unsigned char)*p); p++, seen = 1)
        if (mantissa || *p != '0') {
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
            n_digits++;
        }
    if (*p == '.') {
        const char *point = ++p;
        for (; is_digit((unsigned char)*p); p++, seen = 1)
            if (mantissa || *p != '0') {
                mantissa = mantissa * 10 + (uint64_t)(*p - '0');
                n_digits++;
            }
        exponent = (int)(p - point < 100000 ? point - p : -100000);
    }
    *end = NULL;
    if (!seen)
        return 0;
    if (*p == 'e' || *p == 'E') {
        const char *q = p + 1;
        int minus = 0, written = 0;
        if (*q == '-' || *q == '+')
            minus = *q++ == '-';
        if (!is_digit((unsigned char)*q))
            return 0;
        for (; is_digit((unsigned char)*q); q++)
            if (written < 100000)
                written = written * 10 + (*q - '0');
        exponent += minus ? -written : written;
        p = q;
    }
    double value;
    if (n_digits <= 19 && mantissa <= (1ULL << 53) && exponent >= -22 && exponent <= 22) {
        value = (double)mantissa;
        value = exponent < 0 ? value / POWERS[-exponent] : value * POWERS[exponent];
        value = negative ? -value : value;
    } else {
        char copy[MAX_NUMBER + 1];
        size_t size = (size_t)(p - start);
        if (size > MAX_NUMBER)
            return 0;
        memcpy(copy, start, size);
        copy[size] = 0;
        value = PyOS_string_to_double(copy, NULL, NULL);
        if (PyErr_Occurred()) {
            PyErr_Clear();
            return 0;
        }
        if (!isfinite(value))
            return 0;
    }
    *end = p;
    return value;
}

static inline int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* How many of the next 8 bytes are digits before the first that is none, and the number that they spell: all at once,
 * after D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51 (2021). */
static inline int read_digits(const char *p, uint64_t *number)
{
    uint64_t word;
    memcpy(&word, p, 8);
    uint64_t digits = word ^ 0x3030303030303030ULL;
    uint64_t others = ((digits + 0x7676767676767676ULL) | digits) & 0x8080808080808080ULL;
    int n = others ? __builtin_ctzll(others) >> 3 : 8;
    if (!n)
        return 0;
    digits <<= 64 - 8 * n; /* leading zeros in front, so that there are 8 */
    digits = digits * 10 + (digits >> 8);
    *number = (((digits & 0x000000FF000000FFULL) * 0x000F424000000064ULL) +
               (((digits >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL)) >> 32;
    return n;
}

static const uint64_t WHOLE_POWERS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* As read_number, for the usual number without an exponent: [+-]digits[.digits] of up to 8 digits each side, where 17
 * bytes from p on can be read; everything else is left to read_number. */
static inline double read_value(const char *p, const char *stop, const char **end)
{
    const char *q = p;
    uint64_t mantissa = 0, fraction = 0;
    if (stop - p < 32)
        return read_number(p, end);
    int negative = *q == '-', m = 0;
    q += negative;
    /* mostly one digit: a loop whose end is foreseen is quicker here than counting */
    const char *first = q;
    for (; is_digit((unsigned char)*q) && q - first < 8; q++)
        mantissa = mantissa * 10 + (uint64_t)(*q - '0');
    if (q == first || q - first == 8)
        return read_number(p, end);
    if (*q == '.') {
        m = read_digits(++q, &fraction);
        q += m;
        if (m == 8 && is_digit((unsigned char)*q))
            return read_number(p, end);
        mantissa = mantissa * WHOLE_POWERS[m] + fraction;
    }
    if (*q == 'e' || *q == 'E')
        return read_number(p, end);
    *end = q;
    /* below 10^15: exact as a double, so this is one rounding */
    double value = (double)mantissa / POWERS[m];
    return negative ? -value : value;
}

PyDoc_STRVAR(count_bytes_doc, "count_bytes(text, characters)\n\nList of how often each of the characters is in the text.");

/* So many bytes that their counts fit a byte, which lets the compiler count many at a time. */
#define COUNTED_AT_ONCE 192

static PyObject *count_bytes(PyObject *self, PyObject *args)
{
    Py_buffer text, characters;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*", &text, &characters))
        return NULL;
    const unsigned char *wanted = characters.buf;
    PyObject *result = PyList_New(characters.len);
    Py_ssize_t *counts = PyMem_Calloc((size_t)characters.len + 1, sizeof *counts);
    if (!counts)
        PyErr_NoMemory();
    if (!result || !counts)
        goto failed;
    const unsigned char *p = text.buf, *stop = p + text.len;
    Py_BEGIN_ALLOW_THREADS
    for (; stop - p >= COUNTED_AT_ONCE; p += COUNTED_AT_ONCE)
        for (Py_ssize_t k = 0; k < characters.len; k++) {
            unsigned char c = wanted[k], n = 0;
            for (int i = 0; i < COUNTED_AT_ONCE; i++)
                n = (unsigned char)(n + (p[i] == c));
            counts[k] += n;
        }
    for (; p < stop; p++)
        for (Py_ssize_t k = 0; k < characters.len; k++)
            counts[k] += *p == wanted[k];
    Py_END_ALLOW_THREADS
    for (Py_ssize_t k = 0; k < characters.len; k++) {
        PyObject *count = PyLong_FromSsize_t(counts[k]);
        if (!count)
            goto failed;
        PyList_SetItem(result, k, count);
    }
    goto done;
failed:
    Py_CLEAR(result);
done:
    PyMem_Free(counts);
    PyBuffer_Release(&text);
    PyBuffer_Release(&characters);
    return result;
}

PyDoc_STRVAR(read_libsvm_doc,
             "read_libsvm(text, start, stop, lowest_id, highest_id, base, labels_required, n_rows, n_values, n_lines,\n"
             "labels, row_lines, indptr, indices, values)\n\n"
             "Append the rows of the lines in text[start:stop] to the arrays, which hold n_rows rows, n_values entries\n"
             "of n_lines lines, and return the new (n_rows, n_values, n_lines, least id, largest id), ids as written;\n"
             "or None if anything is unusual: comments, query ids, or whatever must be refused. stop follows a line feed.");

static PyObject *read_libsvm(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    Py_buffer whole;
    Py_ssize_t start, stop_at, n_rows, n_values, n_lines;
    long long lowest, highest, base;
    int labels_required;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*nnLLLpnnnOOOOO", &whole, &start, &stop_at, &lowest, &highest, &base,
                          &labels_required, &n_rows, &n_values, &n_lines, &objects[0], &objects[1], &objects[2],
                          &objects[3], &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {8, 8, 8, 4, 8};
    Buffer out[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &out[k], sizes[k], 1))
            goto done;
    double *labels = out[0].view.buf, *values = out[4].view.buf;
    int64_t *row_lines = out[1].view.buf, *indptr = out[2].view.buf;
    int32_t *indices = out[3].view.buf;
    Py_ssize_t max_rows = items(&out[0]), max_values = items(&out[3]);
    const char *text = whole.buf;
    if (items(&out[1]) != max_rows || items(&out[2]) != max_rows + 1 || items(&out[4]) != max_values || n_rows < 0 ||
        n_values < 0 || start < 0 || stop_at < start || stop_at > whole.len || base < 0 || base > 1 || lowest < 0 ||
        highest - base > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    if (stop_at > start && text[stop_at - 1] != '\n')
        goto unusual;
    const char *p = text + start, *stop = text + stop_at;
    int64_t least = INT64_MAX, largest = -1;
    while (p < stop) { /* a line; its line feed ends every loop below */
        const char *end;
        while (is_blank(*p))
            p++;
        if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {
            p += *p == '\r' ? 2 : 1;
            n_lines++;
            continue;
        }
        if (n_rows >= max_rows)
            goto unusual;
        double label = read_number(p, &end);
        if (end && *end == ':' && !labels_required)
            label = NAN;
        else if (!end || !(is_blank(*end) || *end == '\n' || (*end == '\r' && end[1] == '\n')))
            goto unusual;
        else
            p = end;
        int64_t before = lowest - 1;
        for (;;) {
            while (is_blank(*p))
                p++;
            if (*p == '\n' || (*p == '\r' && p[1] == '\n'))
                break;
            uint64_t id = 0;
            int n = stop - p >= 8 ? read_digits(p, &id) : 0;
            p += n;
            if (!n || n == 8) {
                const char *first = p;
                while (is_digit((unsigned char)*p) && p - first < 4)
                    id = id * 10 + (uint64_t)(*p++ - '0');
                if (!n && p - first == 4)
                    while (is_digit((unsigned char)*p) && p - first < 12)
                        id = id * 10 + (uint64_t)(*p++ - '0');
                if (p == first && !n)
                    goto unusual;
            }
            if (*p != ':' || (int64_t)id <= before || (int64_t)id > highest || n_values >= max_values)
                goto unusual;
            double value = read_value(++p, stop, &end);
            if (!end || !(is_blank(*end) || *end == '\n' || (*end == '\r' && end[1] == '\n')))
                goto unusual;
            p = end;
            if (before < lowest && (int64_t)id < least)
                least = (int64_t)id;
            before = (int64_t)id;
            indices[n_values] = (int32_t)(before - base);
            values[n_values++] = value + 0.0; /* -0.0 becomes 0.0 */
        }
        if (before >= lowest && before > largest)
            largest = before;
        p += *p == '\r' ? 2 : 1;
        labels[n_rows] = label + 0.0;
        row_lines[n_rows] = n_lines++;
        indptr[++n_rows] = n_values;
    }
    result = Py_BuildValue("nnnLL", n_rows, n_values, n_lines, (long long)least, (long long)largest);
    goto done;
unusual:
    result = Py_None;
    Py_INCREF(result);
done:
    release(out, 5);
    PyBuffer_Release(&whole);
    return result;
}

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

static PyObject *read_csv(PyObject *self, PyObject *args)
{
    PyObject *objects[3];
    Py_buffer whole;
    Py_ssize_t n_columns, n_rows = 0, n_left = 0;
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
    const char *text = whole.buf, *p = text, *stop = text + whole.len;
    if (p == stop || stop[-1] != '\n')
        goto unusual;
    while (p < stop) { /* a line; its line feed ends every loop below */
        Py_ssize_t at = n_rows++ * n_columns;
        if (*p == '\n' || at > room - n_columns)
            goto unusual;
        for (Py_ssize_t k = 0; k < n_columns; k++, at++) {
            const char behind = k == n_columns - 1 ? '\n' : (char)delimiter, *end;
            values[at] = read_value(p, stop, &end);
            if (!end || *end != behind) {
                for (end = p; *end != (char)delimiter && *end != '\n'; end++)
                    if (*end == '"' || *end == '\r' || !*end || (unsigned char)*end >= 0x80)
                        goto unusual;
                if (*end != behind || (end > p && (is_blank(*p) || is_blank(end[-1]))))
                    goto unusual;
                values[at] = NAN;
                left[n_left++] = at;
            }
            ends[at] = end - text;
            p = end + 1;
        }
    }
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

/* ---------------------------------------------------------------------------------------------- row hashes */

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

PyDoc_STRVAR(hash_entries_doc, "hash_entries(start, column, indptr, indices, values, out)\n\n"
                               "out[i] = sum over row i's entries of mix(value bits + start + (id + 1) column).");

static PyObject *hash_entries(PyObject *self, PyObject *args)
{
    PyObject *objects[4];
    unsigned long long start, column;
    (void)self;
    if (!PyArg_ParseTuple(args, "KKOOOO", &start, &column, &objects[0], &objects[1], &objects[2], &objects[3]))
        return NULL;
    static const Py_ssize_t sizes[4] = {8, 4, 8, 8};
    Buffer b[4] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 4; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k == 3))
            goto done;
    const int64_t *indptr = b[0].view.buf;
    const int32_t *indices = b[1].view.buf;
    const uint64_t *values = b[2].view.buf;
    uint64_t *out = b[3].view.buf;
    Py_ssize_t n = items(&b[3]), nnz = items(&b[1]);
    if (items(&b[0]) != n + 1 || items(&b[2]) != nnz) {
        PyErr_SetString(PyExc_ValueError, "indptr, indices, values and out do not fit together");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        if (indptr[i] < 0 || indptr[i + 1] > nnz) {
            PyErr_SetString(PyExc_ValueError, "indptr points outside the entries");
            goto done;
        }
        for (int64_t k = indptr[i]; k < indptr[i + 1]; k++)
            sum += mix(values[k] + start + ((uint64_t)(int64_t)indices[k] + 1) * column);
        out[i] = sum;
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 4);
    return result;
}

/* ---------------------------------------------------------------------------------------------- rows by number */

PyDoc_STRVAR(take_rows_doc, "take_rows(rows, indptr, indices, values, new_indptr, new_indices, new_values)\n\n"
                            "Copy the entries of the given rows, in that order.");

static PyObject *take_rows(PyObject *self, PyObject *args)
{
    PyObject *objects[7];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4],
                          &objects[5], &objects[6]))
        return NULL;
    static const Py_ssize_t sizes[7] = {8, 8, 4, 8, 8, 4, 8};
    Buffer b[7] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 7; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 4))
            goto done;
    const int64_t *rows = b[0].view.buf, *indptr = b[1].view.buf;
    const int32_t *indices = b[2].view.buf;
    const double *values = b[3].view.buf;
    int64_t *new_indptr = b[4].view.buf, at = 0;
    int32_t *new_indices = b[5].view.buf;
    double *new_values = b[6].view.buf;
    Py_ssize_t n = items(&b[0]), n_all = items(&b[1]) - 1, nnz = items(&b[2]), room = items(&b[5]);
    if (items(&b[3]) != nnz || items(&b[4]) != n + 1 || items(&b[6]) != room) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    new_indptr[0] = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        int64_t row = rows[i], first, count;
        if (row < 0 || row >= n_all || (first = indptr[row]) < 0 || (count = indptr[row + 1] - first) < 0 ||
            first + count > nnz || at + count > room) {
            PyErr_SetString(PyExc_ValueError, "a row or its entries are out of range");
            goto done;
        }
        memcpy(new_indices + at, indices + first, (size_t)count * sizeof *indices);
        memcpy(new_values + at, values + first, (size_t)count * sizeof *values);
        new_indptr[i + 1] = at += count;
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 7);
    return result;
}

/* ---------------------------------------------------------------------------------------------- sparse products */

typedef struct {
    const int32_t *indptr, *indices;
    const double *values;
    Py_ssize_t n_rows, nnz, n_features;
} Csr;

/* That no index reaches `width` is the caller's word: looking through them again and again costs as much as a product. */
static int is_csr(const Csr *x, Py_ssize_t width)
{
    if (x->indptr[0] != 0 || x->indptr[x->n_rows] != x->nnz)
        return 0;
    for (Py_ssize_t i = 0; i < x->n_rows; i++)
        if (x->indptr[i + 1] < x->indptr[i])
            return 0;
    return 0 <= width && width <= x->n_features;
}

typedef double Pair __attribute__((vector_size(16), aligned(8)));

static inline Pair load_pair(const double *at)
{
    Pair pair;
    memcpy(&pair, at, sizeof pair);
    return pair;
}

static inline void store_pair(double *at, Pair pair)
{
    memcpy(at, &pair, sizeof pair);
}

PyDoc_STRVAR(csr_dot_doc, "csr_dot(indptr, indices, values, width, n_outputs, coef, out)\n\n"
                          "out (n_rows, n_outputs) = X coef, coef (n_features, n_outputs). All indices are in\n"
                          "0 .. width - 1: the caller vouches for that.");

static PyObject *csr_dot(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    Py_ssize_t width, k_all;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOnnOO", &objects[0], &objects[1], &objects[2], &width, &k_all, &objects[3],
                          &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {4, 4, 8, 8, 8};
    Buffer b[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k == 4))
            goto done;
    const double *coef = b[3].view.buf;
    double *out = b[4].view.buf;
    Csr x = {b[0].view.buf, b[1].view.buf, b[2].view.buf, items(&b[0]) - 1, items(&b[1]), 0};
    x.n_features = k_all > 0 ? items(&b[3]) / k_all : 0;
    if (k_all < 1 || x.n_rows < 0 || items(&b[2]) != x.nnz || items(&b[3]) != x.n_features * k_all ||
        items(&b[4]) != x.n_rows * k_all || !is_csr(&x, width)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < x.n_rows; i++) {
        int32_t first = x.indptr[i], last = x.indptr[i + 1];
        if (k_all == 1) {
            double sum = 0;
            for (int32_t e = first; e < last; e++)
                sum += x.values[e] * coef[x.indices[e]];
            out[i] = sum;
        } else if (k_all == 2) {
            Pair sum = {0, 0};
            for (int32_t e = first; e < last; e++)
                sum += x.values[e] * load_pair(coef + 2 * (Py_ssize_t)x.indices[e]);
            store_pair(out + 2 * i, sum);
        } else {
            double *sums = out + i * k_all;
            memset(sums, 0, (size_t)k_all * sizeof *sums);
            for (int32_t e = first; e < last; e++) {
                const double *w = coef + k_all * (Py_ssize_t)x.indices[e];
                double v = x.values[e];
                for (Py_ssize_t k = 0; k < k_all; k++)
                    sums[k] += v * w[k];
            }
        }
    }
    Py_END_ALLOW_THREADS
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 5);
    return result;
}

PyDoc_STRVAR(csr_pull_doc, "csr_pull(indptr, indices, values, width, n_outputs, slope, bend, sums)\n\n"
                           "sums[..., 0] = X' slope and sums[..., 1] = (X o X)' bend in one sweep; slope and bend\n"
                           "(n_rows, n_outputs), sums (n_features, n_outputs, 2), zero at the start. The two lie side\n"
                           "by side because the way to a column's place in memory is what costs. Without a bend, None,\n"
                           "sums = X' slope, (n_features, n_outputs).");

/* sums += X' slope */
static inline void pull_slope(const Csr *x, Py_ssize_t k_all, const double *slope, double *sums)
{
    for (Py_ssize_t i = 0; i < x->n_rows; i++, slope += k_all)
        for (int32_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            double v = x->values[e], *at = sums + k_all * (Py_ssize_t)x->indices[e];
            for (Py_ssize_t k = 0; k < k_all; k++)
                at[k] += v * slope[k];
        }
}

/* sums[..., 0] += X' slope, sums[..., 1] += (X o X)' bend */
static void pull_both(const Csr *x, Py_ssize_t k_all, const double *slope, const double *bend, double *sums)
{
    for (Py_ssize_t i = 0; i < x->n_rows; i++) {
        const double *s = slope + i * k_all, *c = bend + i * k_all;
        if (k_all == 1) {
            Pair both = {*s, *c};
            for (int32_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
                double v = x->values[e], *at = sums + 2 * (Py_ssize_t)x->indices[e];
                Pair powers = {v, v * v};
                store_pair(at, load_pair(at) + powers * both);
            }
            continue;
        }
        for (int32_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            double v = x->values[e], square = v * v;
            double *at = sums + 2 * k_all * (Py_ssize_t)x->indices[e];
            for (Py_ssize_t k = 0; k < k_all; k++) {
                at[2 * k] += v * s[k];
                at[2 * k + 1] += square * c[k];
            }
        }
    }
}

static PyObject *csr_pull(PyObject *self, PyObject *args)
{
    PyObject *objects[6];
    Py_ssize_t width, k_all;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOnnOOO", &objects[0], &objects[1], &objects[2], &width, &k_all, &objects[3],
                          &objects[4], &objects[5]))
        return NULL;
    static const Py_ssize_t sizes[6] = {4, 4, 8, 8, 8, 8};
    Buffer b[6] = {{.held = 0}};
    PyObject *result = NULL;
    int both = objects[4] != Py_None, n_sums = both ? 2 : 1;
    for (int k = 0; k < 6; k++)
        if ((k != 4 || both) && !acquire(objects[k], &b[k], sizes[k], k == 5))
            goto done;
    const double *slope = b[3].view.buf;
    double *sums = b[5].view.buf;
    Csr x = {b[0].view.buf, b[1].view.buf, b[2].view.buf, items(&b[0]) - 1, items(&b[1]), 0};
    x.n_features = k_all > 0 ? items(&b[5]) / k_all / n_sums : 0;
    if (k_all < 1 || x.n_rows < 0 || items(&b[2]) != x.nnz || items(&b[3]) != x.n_rows * k_all ||
        (both && items(&b[4]) != items(&b[3])) || items(&b[5]) != x.n_features * k_all * n_sums || !is_csr(&x, width)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    if (both)
        pull_both(&x, k_all, slope, b[4].view.buf, sums);
    else if (k_all == 1) /* known beforehand, so that there is no inner loop */
        pull_slope(&x, 1, slope, sums);
    else
        pull_slope(&x, k_all, slope, sums);
    Py_END_ALLOW_THREADS
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 6);
    return result;
}

/* ---------------------------------------------------------------------------------------------- numbers as text */

#define MAX_TEXT 32

static char *write_python_float(double value, char *out)
{
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (!text)
        return NULL;
    size_t size = strlen(text);
    memcpy(out, text, size);
    PyMem_Free(text);
    return out + size;
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 Wide;

#define MOST_FIVES 27

static const uint64_t FIVES[MOST_FIVES + 1] = {
    1ULL, 5ULL, 25ULL, 125ULL, 625ULL, 3125ULL, 15625ULL, 78125ULL, 390625ULL, 1953125ULL, 9765625ULL, 48828125ULL,
    244140625ULL, 1220703125ULL, 6103515625ULL, 30517578125ULL, 152587890625ULL, 762939453125ULL, 3814697265625ULL,
    19073486328125ULL, 95367431640625ULL, 476837158203125ULL, 2384185791015625ULL, 11920928955078125ULL,
    59604644775390625ULL, 298023223876953125ULL, 1490116119384765625ULL, 7450580596923828125ULL};

/* The shortest decimal number s 10^k that reads back as c 2^q, and of those the nearest; 0 where this is not the way to
 * find it. 2^52 < c < 2^53 and -MOST_FIVES <= k <= 0, where 10^k <= 2^q < 10^(k+1).
 *
 * What reads back lies within 2^q / 2 of c 2^q, the ends included if c is even. That is at least as wide as 10^k and
 * narrower than 10^(k+1): one multiple of 10^(k+1) at most lies there, and then it is the answer; otherwise it is the
 * nearer one of the multiples of 10^k on both sides (Giulietti, "The Schubfach way to render doubles", 2020). All of
 * it is exact here, in units of 10^k / unit: with f = -k and unit = 2^(1-q-f), c 2^q is 2 c 5^f and the half width 5^f,
 * below 2^118. */
static uint64_t shortest(uint64_t c, int q, int k)
{
    Wide half = FIVES[-k], middle = half * (2 * c), low = middle - half, high = middle + half;
    int shift = 1 - q + k;
    Wide unit = (Wide)1 << shift;
    int open = (int)(c & 1);
    uint64_t s = (uint64_t)(middle >> shift), tens = s - s % 10;
    Wide below = tens * unit, above = below + 10 * unit;
    if (below >= low + open)
        return tens;
    if (above + open <= high)
        return tens + 10;
    below = s * unit;
    above = below + unit;
    int has_below = below >= low + open, has_above = above + open <= high;
    if (has_below && has_above) {
        Wide before = middle - below, behind = above - middle;
        return before < behind ? s : behind < before ? s + 1 : 0;
    }
    return has_below ? s : has_above ? s + 1 : 0;
}

/* What Python's repr() writes; *out has room for MAX_TEXT. Returns its end, or NULL with an exception set. */
static char *write_float(double value, char *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & ((1ULL << 52) - 1);
    int q = (int)(bits >> 52 & 2047) - 1075;
    /* floor(q log10(2)), for every q <= 0 that there is */
    int k = q > 0 ? 1 : -((-q * 78913 + (1 << 18) - 1) >> 18);
    uint64_t digits = k > 0 || k < -MOST_FIVES || !fraction ? 0 : shortest(fraction | 1ULL << 52, q, k);
    if (!digits)
        return write_python_float(value, out);
    while (digits % 10 == 0) {
        digits /= 10;
        k++;
    }
    char text[20];
    int n = 0;
    for (uint64_t rest = digits; rest; rest /= 10)
        text[19 - n++] = (char)('0' + rest % 10);
    const char *first = text + 20 - n;
    int point = n + k; /* digits before the decimal point */
    if (bits >> 63)
        *out++ = '-';
    if (point > 16 || point < -3) {
        *out++ = *first;
        if (n > 1) {
            *out++ = '.';
            memcpy(out, first + 1, (size_t)n - 1);
            out += n - 1;
        }
        int exponent = point - 1;
        *out++ = 'e';
        *out++ = exponent < 0 ? '-' : '+';
        exponent = exponent < 0 ? -exponent : exponent;
        *out++ = (char)('0' + exponent / 10);
        *out++ = (char)('0' + exponent % 10);
        return out;
    }
    if (point <= 0) {
        *out++ = '0';
        *out++ = '.';
        for (; point < 0; point++)
            *out++ = '0';
        memcpy(out, first, (size_t)n);
        return out + n;
    }
    for (int i = 0; i < point; i++)
        *out++ = i < n ? first[i] : '0';
    *out++ = '.';
    if (n <= point)
        *out++ = '0';
    else {
        memcpy(out, first + point, (size_t)(n - point));
        out += n - point;
    }
    return out;
}
#else
static char *write_float(double value, char *out)
{
    return write_python_float(value, out);
}
#endif

PyDoc_STRVAR(write_rows_doc, "write_rows(values, n_columns, starts, start_ends, choice, lines, n_lines, out)\n\n"
                             "Write n_lines lines into out and return their length: for row i, on line lines[i], the\n"
                             "text number choice[i] of those in starts, then the row's values as repr() writes them,\n"
                             "with tabs between. Lines without a row are empty.");

static PyObject *write_rows(PyObject *self, PyObject *args)
{
    PyObject *objects[6];
    Py_ssize_t k_all, n_lines;
    (void)self;
    if (!PyArg_ParseTuple(args, "OnOOOOnO", &objects[0], &k_all, &objects[1], &objects[2], &objects[3], &objects[4],
                          &n_lines, &objects[5]))
        return NULL;
    static const Py_ssize_t sizes[6] = {8, 1, 8, 8, 8, 1};
    Buffer b[6] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 6; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k == 5))
            goto done;
    const double *values = b[0].view.buf;
    const char *starts = b[1].view.buf;
    const int64_t *start_ends = b[2].view.buf, *choice = b[3].view.buf, *lines = b[4].view.buf;
    char *out = b[5].view.buf, *p = out;
    Py_ssize_t n_starts = items(&b[2]), n = items(&b[4]), room = items(&b[5]), at = 0;
    if (k_all < 1 || n_lines < n || items(&b[3]) != n || items(&b[0]) != n * k_all) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        int64_t chosen = choice[i], first, size;
        if (lines[i] < at || lines[i] >= n_lines || chosen < 0 || chosen >= n_starts ||
            (first = chosen ? start_ends[chosen - 1] : 0) < 0 || (size = start_ends[chosen] - first) < 0 ||
            start_ends[chosen] > items(&b[1])) {
            PyErr_SetString(PyExc_ValueError, "a row's line or text is out of range");
            goto done;
        }
        if (room - (p - out) < n_lines - at + size + k_all * MAX_TEXT) {
            PyErr_SetString(PyExc_ValueError, "no room for the text");
            goto done;
        }
        for (; at < lines[i]; at++)
            *p++ = '\n';
        memcpy(p, starts + first, (size_t)size);
        p += size;
        for (Py_ssize_t k = 0; k < k_all; k++) {
            if (k)
                *p++ = '\t';
            p = write_float(values[i * k_all + k], p);
            if (!p)
                goto done;
        }
        *p++ = '\n';
        at++;
    }
    if (room - (p - out) < n_lines - at) {
        PyErr_SetString(PyExc_ValueError, "no room for the text");
        goto done;
    }
    for (; at < n_lines; at++)
        *p++ = '\n';
    result = PyLong_FromSsize_t(p - out);
done:
    release(b, 6);
    return result;
}

/* ---------------------------------------------------------------------------------------------- narrow numbers */

/* Simple loops that are several times faster with the wider registers of newer processors, with the same bits: which
 * version runs is decided when the module is loaded. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define EACH_PROCESSOR
#endif

/* Adding and subtracting it rounds numbers below 2^51 to integers, halves to even. */
#define ROUNDER 6755399441055744.0

/* out = values * scale as integers; how many are not exactly an integer over scale, or beyond limit; and the largest
 * absolute one of the others. */
EACH_PROCESSOR static int64_t scale_down(const double *values, Py_ssize_t n, double scale, double limit, int32_t *out,
                                         int32_t *largest)
{
    int64_t wrong = 0;
    int32_t most = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        double whole = values[i] * scale + ROUNDER - ROUNDER;
        int right = (whole / scale == values[i]) & (whole <= limit) & (whole >= -limit);
        int32_t found = (int32_t)(right ? whole : 0.0), size = found < 0 ? -found : found;
        wrong += !right;
        most = size > most ? size : most;
        out[i] = found;
    }
    *largest = most;
    return wrong;
}

PyDoc_STRVAR(narrow_doc, "narrow(values, scale, limit, out)\n\n"
                         "out = values * scale, int32, and the largest absolute one of them; or None if any of the values\n"
                         "is not exactly an integer over scale, or that integer is beyond the limit.");

static PyObject *narrow(PyObject *self, PyObject *args)
{
    PyObject *objects[2];
    double scale, limit;
    (void)self;
    if (!PyArg_ParseTuple(args, "OddO", &objects[0], &scale, &limit, &objects[1]))
        return NULL;
    Buffer b[2] = {{.held = 0}};
    PyObject *result = NULL;
    if (!acquire(objects[0], &b[0], 8, 0) || !acquire(objects[1], &b[1], 4, 1))
        goto done;
    Py_ssize_t n = items(&b[0]);
    if (items(&b[1]) != n || !(limit >= 0 && limit <= INT32_MAX)) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    int32_t largest;
    int64_t wrong = scale_down(b[0].view.buf, n, scale, limit, b[1].view.buf, &largest);
    result = wrong ? Py_None : PyLong_FromLong(largest);
    if (wrong)
        Py_INCREF(result);
done:
    release(b, 2);
    return result;
}

EACH_PROCESSOR static void scale_up_1(const int8_t *in, Py_ssize_t n, double scale, double *out)
{
    for (Py_ssize_t i = 0; i < n; i++)
        out[i] = in[i] / scale;
}

EACH_PROCESSOR static void scale_up_2(const int16_t *in, Py_ssize_t n, double scale, double *out)
{
    for (Py_ssize_t i = 0; i < n; i++)
        out[i] = in[i] / scale;
}

EACH_PROCESSOR static void scale_up_4(const int32_t *in, Py_ssize_t n, double scale, double *out)
{
    for (Py_ssize_t i = 0; i < n; i++)
        out[i] = in[i] / scale;
}

PyDoc_STRVAR(widen_doc, "widen(integers, scale, out)\n\nout = integers / scale; signed integers of 1, 2 or 4 bytes.");

static PyObject *widen(PyObject *self, PyObject *args)
{
    PyObject *objects[2];
    double scale;
    (void)self;
    if (!PyArg_ParseTuple(args, "OdO", &objects[0], &scale, &objects[1]))
        return NULL;
    Buffer b[2] = {{.held = 0}};
    PyObject *result = NULL;
    if (!acquire(objects[0], &b[0], 0, 0) || !acquire(objects[1], &b[1], 8, 1))
        goto done;
    Py_ssize_t n = items(&b[0]), size = b[0].view.itemsize;
    if (items(&b[1]) != n || (size != 1 && size != 2 && size != 4)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    if (size == 1)
        scale_up_1(b[0].view.buf, n, scale, b[1].view.buf);
    else if (size == 2)
        scale_up_2(b[0].view.buf, n, scale, b[1].view.buf);
    else
        scale_up_4(b[0].view.buf, n, scale, b[1].view.buf);
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 2);
    return result;
}

/* ---------------------------------------------------------------------------------------------- columns of a block */

static int columns_fit(const int32_t *indices, Py_ssize_t nnz, Py_ssize_t n_features)
{
    uint32_t largest = 0;
    for (Py_ssize_t k = 0; k < nnz; k++)
        largest = (uint32_t)indices[k] > largest ? (uint32_t)indices[k] : largest;
    return !nnz || (Py_ssize_t)largest < n_features;
}

PyDoc_STRVAR(column_sums_doc, "column_sums(indices, values, sums, stored, low, high, nonzero)\n\n"
                              "Of each column: sum and number of its entries, smallest and largest entry that is not\n"
                              "zero and their number. sums, stored and nonzero are zero, low inf and high -inf at the\n"
                              "start.");

static PyObject *column_sums(PyObject *self, PyObject *args)
{
    PyObject *objects[7];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4],
                          &objects[5], &objects[6]))
        return NULL;
    static const Py_ssize_t sizes[7] = {4, 8, 8, 8, 8, 8, 8};
    Buffer b[7] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 7; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 2))
            goto done;
    const int32_t *indices = b[0].view.buf;
    const double *values = b[1].view.buf;
    double *sums = b[2].view.buf, *low = b[4].view.buf, *high = b[5].view.buf;
    int64_t *stored = b[3].view.buf, *nonzero = b[6].view.buf;
    Py_ssize_t nnz = items(&b[0]), d = items(&b[2]);
    if (items(&b[1]) != nnz || items(&b[3]) != d || items(&b[4]) != d || items(&b[5]) != d || items(&b[6]) != d ||
        !columns_fit(indices, nnz, d)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    for (Py_ssize_t k = 0; k < nnz; k++) {
        int32_t j = indices[k];
        double v = values[k];
        sums[j] += v;
        stored[j]++;
        if (v != 0) {
            low[j] = v < low[j] ? v : low[j];
            high[j] = v > high[j] ? v : high[j];
            nonzero[j]++;
        }
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 7);
    return result;
}

PyDoc_STRVAR(column_deviations_doc, "column_deviations(indices, values, mean, left, squares)\n\n"
                                    "Of each column: sums of its entries less the column's mean, and of their squares;\n"
                                    "left and squares are zero at the start.");

static PyObject *column_deviations(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {4, 8, 8, 8, 8};
    Buffer b[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 3))
            goto done;
    const int32_t *indices = b[0].view.buf;
    const double *values = b[1].view.buf, *mean = b[2].view.buf;
    double *left = b[3].view.buf, *squares = b[4].view.buf;
    Py_ssize_t nnz = items(&b[0]), d = items(&b[2]);
    if (items(&b[1]) != nnz || items(&b[3]) != d || items(&b[4]) != d || !columns_fit(indices, nnz, d)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    for (Py_ssize_t k = 0; k < nnz; k++) {
        int32_t j = indices[k];
        double deviation = values[k] - mean[j];
        left[j] += deviation;
        squares[j] += deviation * deviation;
    }
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 5);
    return result;
}

/* ---------------------------------------------------------------------------------------------- module */

static PyMethodDef METHODS[] = {
    {"count_bytes", count_bytes, METH_VARARGS, count_bytes_doc},
    {"read_libsvm", read_libsvm, METH_VARARGS, read_libsvm_doc},
    {"read_csv", read_csv, METH_VARARGS, read_csv_doc},
    {"hash_entries", hash_entries, METH_VARARGS, hash_entries_doc},
    {"take_rows", take_rows, METH_VARARGS, take_rows_doc},
    {"csr_dot", csr_dot, METH_VARARGS, csr_dot_doc},
    {"csr_pull", csr_pull, METH_VARARGS, csr_pull_doc},
    {"column_sums", column_sums, METH_VARARGS, column_sums_doc},
    {"column_deviations", column_deviations, METH_VARARGS, column_deviations_doc},
    {"narrow", narrow, METH_VARARGS, narrow_doc},
    {"widen", widen, METH_VARARGS, widen_doc},
    {"read_floats", read_floats, METH_VARARGS, read_floats_doc},
    {"write_rows", write_rows, METH_VARARGS, write_rows_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "mr_ml._native", .m_doc = "Compiled inner loops.", .m_size = 0,
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&MODULE);
}
