import { defineProblems } from '../gateway/problem.ts'

export const dataProblems = defineProblems('data', {
  unknownDataset: {
    status: 404,
    title: 'Unknown dataset',
    advice: 'See GET /api/v1/datasets for those that you may use.',
  },
  nameTaken: {
    status: 409,
    title: 'Dataset exists',
    advice: 'Choose another name, or say mode=append or mode=replace for a further version.',
  },
  conflict: {
    status: 409,
    title: 'Dataset changed meanwhile',
    advice: 'Look at what it is now, and try again.',
  },
  onlyVersion: {
    status: 409,
    title: 'Only version',
    advice: 'Remove the dataset, or add a version first.',
  },
  unknownPipeline: {
    status: 404,
    title: 'Unknown pipeline',
    advice: 'See GET /api/v1/pipelines for those that you may use.',
  },
  unknownEndpoint: {
    status: 404,
    title: 'Unknown endpoint',
    advice: 'See GET /api/v1/endpoints for those that you may ask.',
  },
  pipelineTaken: {
    status: 409,
    title: 'Pipeline exists',
    advice: 'Choose another name.',
  },
  pipelineConflict: {
    status: 409,
    title: 'Pipeline changed meanwhile',
    advice: 'Look at what it is now, and try again.',
  },
  noOutput: {
    status: 409,
    title: 'Pipeline without output',
    advice: 'Save it with an output, or publish it and ask its endpoint.',
  },
  refusedUpload: {
    status: 422,
    title: 'Refused upload',
    advice: 'Mend what `detail` names, and upload it again. What is there stays as it is.',
  },
  refusedImport: {
    status: 422,
    title: 'Refused import',
    advice:
      'Mend what `detail` names. Private addresses are allowed by the operator, in EGRESS_ALLOW.',
  },
  sourceFailed: {
    status: 502,
    title: 'Source failed',
    advice: 'See whether the address answers elsewhere, and try again.',
  },
  refusedQuery: {
    status: 422,
    title: 'Refused query',
    advice: 'Mend what `errors` names; SQL functions are listed in the README.',
  },
  tooMuch: {
    status: 422,
    title: 'Query takes too much',
    advice: 'Ask for less, or let it run as a job whose result becomes a dataset.',
  },
  quotaExceeded: {
    status: 413,
    title: 'Quota exceeded',
    advice: 'Remove datasets or versions, or ask the operator for more.',
  },
  notAcceptable: {
    status: 406,
    title: 'Not acceptable',
    advice: 'Send an Accept header with one of the forms that there are, or none.',
  },
  overloaded: {
    status: 503,
    title: 'Too many queries',
    advice: 'Try again after as long as Retry-After says.',
  },
  queryTimeout: {
    status: 504,
    title: 'Query timeout',
    advice: 'Ask for less, or let it run as a job.',
  },
})
