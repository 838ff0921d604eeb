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
    return value + 0.0; /* -0.0 becomes 0.0 */
}

static inline int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

PyDoc_STRVAR(read_libsvm_doc,
             "read_libsvm(text, lowest_id, highest_id, labels_required, labels, row_lines, row_ends, ids, values)\n\n"
             "Fill the arrays with the rows of whole lines and return (n_rows, n_values, n_lines), or None if anything\n"
             "is unusual: comments, query ids, or whatever must be refused. Text ends with a line feed.");

static PyObject *read_libsvm(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    const char *text;
    Py_ssize_t size;
    long long lowest, highest;
    int labels_required;
    (void)self;
    if (!PyArg_ParseTuple(args, "y#LLpOOOOO", &text, &size, &lowest, &highest, &labels_required, &objects[0],
                          &objects[1], &objects[2], &objects[3], &objects[4]))
        return NULL;
    Buffer out[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &out[k], 8, 1))
            goto done;
    double *labels = out[0].view.buf, *values = out[4].view.buf;
    int64_t *row_lines = out[1].view.buf, *row_ends = out[2].view.buf, *ids = out[3].view.buf;
    Py_ssize_t max_rows = items(&out[0]), max_values = items(&out[3]);
    if (items(&out[1]) < max_rows || items(&out[2]) < max_rows || items(&out[4]) < max_values) {
        PyErr_SetString(PyExc_ValueError, "arrays of rows and of values must have one length each");
        goto done;
    }
    if (size && text[size - 1] != '\n')
        goto unusual;
    const char *p = text, *stop = text + size;
    Py_ssize_t n_rows = 0, n_values = 0, n_lines = 0;
    while (p < stop) { /* a line; its line feed ends every loop below */
        const char *end;
        while (is_blank(*p))
            p++;
        if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {
            p += *p == '\r' ? 2 : 1;
            n_lines++;
            continue;
        }
        if (n_rows == max_rows)
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
            int64_t id = 0;
            const char *first = p;
            while (is_digit((unsigned char)*p) && p - first < 12)
                id = id * 10 + (*p++ - '0');
            if (p == first || *p != ':' || id <= before || id > highest || n_values == max_values)
                goto unusual;
            double value = read_number(++p, &end);
            if (!end || !(is_blank(*end) || *end == '\n' || (*end == '\r' && end[1] == '\n')))
                goto unusual;
            p = end;
            ids[n_values] = before = id;
            values[n_values++] = value;
        }
        p += *p == '\r' ? 2 : 1;
        labels[n_rows] = label;
        row_lines[n_rows] = n_lines++;
        row_ends[n_rows++] = n_values;
    }
    result = Py_BuildValue("nnn", n_rows, n_values, n_lines);
    goto done;
unusual:
    result = Py_None;
    Py_INCREF(result);
done:
    release(out, 5);
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

static int is_csr(const Csr *x)
{
    if (x->indptr[0] != 0 || x->indptr[x->n_rows] != x->nnz)
        return 0;
    for (Py_ssize_t i = 0; i < x->n_rows; i++)
        if (x->indptr[i + 1] < x->indptr[i])
            return 0;
    uint32_t largest = 0;
    for (Py_ssize_t k = 0; k < x->nnz; k++)
        largest = (uint32_t)x->indices[k] > largest ? (uint32_t)x->indices[k] : largest;
    return !x->nnz || (Py_ssize_t)largest < x->n_features;
}

PyDoc_STRVAR(csr_dot_doc, "csr_dot(indptr, indices, values, n_outputs, coef, out)\n\n"
                          "out (n_rows, n_outputs) = X coef, coef (n_features, n_outputs).");

static PyObject *csr_dot(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    Py_ssize_t k_all;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOnOO", &objects[0], &objects[1], &objects[2], &k_all, &objects[3], &objects[4]))
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
        items(&b[4]) != x.n_rows * k_all || !is_csr(&x)) {
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
            double sum0 = 0, sum1 = 0;
            for (int32_t e = first; e < last; e++) {
                const double *w = coef + 2 * (Py_ssize_t)x.indices[e];
                sum0 += x.values[e] * w[0];
                sum1 += x.values[e] * w[1];
            }
            out[2 * i] = sum0;
            out[2 * i + 1] = sum1;
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

PyDoc_STRVAR(csr_pull_doc, "csr_pull(indptr, indices, values, n_outputs, slope, bend, gradient, curvature)\n\n"
                           "gradient = X' slope and curvature = (X o X)' bend in one sweep; slope and bend\n"
                           "(n_rows, n_outputs), the results (n_features, n_outputs), zero at the start.");

static PyObject *csr_pull(PyObject *self, PyObject *args)
{
    PyObject *objects[7];
    Py_ssize_t k_all;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOnOOOO", &objects[0], &objects[1], &objects[2], &k_all, &objects[3], &objects[4],
                          &objects[5], &objects[6]))
        return NULL;
    static const Py_ssize_t sizes[7] = {4, 4, 8, 8, 8, 8, 8};
    Buffer b[7] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 7; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 5))
            goto done;
    const double *slope = b[3].view.buf, *bend = b[4].view.buf;
    double *gradient = b[5].view.buf, *curvature = b[6].view.buf;
    Csr x = {b[0].view.buf, b[1].view.buf, b[2].view.buf, items(&b[0]) - 1, items(&b[1]), 0};
    x.n_features = k_all > 0 ? items(&b[5]) / k_all : 0;
    if (k_all < 1 || x.n_rows < 0 || items(&b[2]) != x.nnz || items(&b[3]) != x.n_rows * k_all ||
        items(&b[4]) != items(&b[3]) || items(&b[5]) != x.n_features * k_all || items(&b[6]) != items(&b[5]) ||
        !is_csr(&x)) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < x.n_rows; i++)
        for (int32_t e = x.indptr[i]; e < x.indptr[i + 1]; e++) {
            double v = x.values[e], square = v * v;
            Py_ssize_t at = k_all * (Py_ssize_t)x.indices[e];
            for (Py_ssize_t k = 0; k < k_all; k++) {
                gradient[at + k] += v * slope[i * k_all + k];
                curvature[at + k] += square * bend[i * k_all + k];
            }
        }
    Py_END_ALLOW_THREADS
    result = Py_None;
    Py_INCREF(result);
done:
    release(b, 7);
    return result;
}

/* ---------------------------------------------------------------------------------------------- module */

static PyMethodDef METHODS[] = {
    {"read_libsvm", read_libsvm, METH_VARARGS, read_libsvm_doc},
    {"hash_entries", hash_entries, METH_VARARGS, hash_entries_doc},
    {"take_rows", take_rows, METH_VARARGS, take_rows_doc},
    {"csr_dot", csr_dot, METH_VARARGS, csr_dot_doc},
    {"csr_pull", csr_pull, METH_VARARGS, csr_pull_doc},
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
