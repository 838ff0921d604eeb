/* libsvm text. */
#include "libsvm_rows.h"

#ifdef SHUFFLES
#define HAS_SHUFFLES __builtin_cpu_supports("sse4.1")
#else
#define HAS_SHUFFLES 0
#define read_rows_shuffled read_rows
#endif

static const char *no_feature(const char *p, uint64_t *id, double *value)
{
    (void)p, (void)id, (void)value;
    return NULL;
}

READ_ROWS(static, read_rows, no_feature)

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
    Py_ssize_t start, stop_at;
    LibsvmText t = {.least = INT64_MAX, .largest = -1};
    long long lowest, highest, base;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*nnLLLpnnnOOOOO", &whole, &start, &stop_at, &lowest, &highest, &base,
                          &t.labels_required, &t.n_rows, &t.n_values, &t.n_lines, &objects[0], &objects[1],
                          &objects[2], &objects[3], &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {8, 8, 8, 4, 8};
    Buffer out[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &out[k], sizes[k], 1))
            goto done;
    t.labels = out[0].view.buf;
    t.row_lines = out[1].view.buf;
    t.indptr = out[2].view.buf;
    t.indices = out[3].view.buf;
    t.values = out[4].view.buf;
    t.max_rows = items(&out[0]);
    t.max_values = items(&out[3]);
    if (items(&out[1]) != t.max_rows || items(&out[2]) != t.max_rows + 1 || items(&out[4]) != t.max_values ||
        t.n_rows < 0 || t.n_values < 0 || start < 0 || stop_at < start || stop_at > whole.len || base < 0 || base > 1 ||
        lowest < 0 || highest - base > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    t.text = whole.buf;
    t.start = t.text + start;
    t.stop = t.text + stop_at;
    t.lowest = lowest;
    t.highest = highest;
    t.base = base;
    if ((stop_at == start || t.text[stop_at - 1] == '\n') && (HAS_SHUFFLES ? read_rows_shuffled : read_rows)(&t))
        result = Py_BuildValue("nnnLL", t.n_rows, t.n_values, t.n_lines, (long long)t.least, (long long)t.largest);
    else {
        result = Py_None;
        Py_INCREF(result);
    }
done:
    release(out, 5);
    PyBuffer_Release(&whole);
    return result;
}

PyMethodDef libsvm_methods[] = {
    {"count_bytes", count_bytes, METH_VARARGS, count_bytes_doc},
    {"read_libsvm", read_libsvm, METH_VARARGS, read_libsvm_doc},
    {NULL, NULL, 0, NULL},
};
