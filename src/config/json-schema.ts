import { keys } from './keys/index.ts'
import { isChoice, type Node, type Section } from './nodes.ts'
import { defaultOf, statusText } from './read.ts'

type Schema = Record<string, unknown>

/** The JSON Schema of the configuration file, by which editors check and complete it. */
export function jsonSchema(): Schema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Configuration of Holdfast, registry:2 and registry:3',
    required: ['version'],
    ...schemaOf(keys),
  }
}

function schemaOf(node: Node): Schema {
  return {
    description: node.status ? `${node.doc} This ${statusText(node.status)}.` : node.doc,
    ...(node.status && { deprecated: true }),
    ...shapeOf(node),
  }
}

function shapeOf(node: Node): Schema {
  switch (node.node) {
    case 'leaf': {
      const text = defaultOf(node, true)
      const initial = text === undefined ? undefined : node.kind.parse(text)
      // Durations and addresses read as something else than what stands in the file.
      const isPlain =
        typeof initial === 'boolean' || (typeof initial === 'number' && node.kind.schema.type === 'integer')
      const type = node.kind.schema
      if (node.kind.schema.enum && (type.enum as string[]).includes('0.1')) return { enum: [0.1, '0.1'] }
      return { ...type, ...(text !== undefined && { default: isPlain ? initial : text }) }
    }
    case 'section':
      return sectionShape(node)
    case 'list':
      return { type: ['array', 'null'], items: schemaOf(node.item) }
    case 'dictionary':
      return { type: ['object', 'null'], additionalProperties: schemaOf(node.item) }
    case 'opaque':
      return {}
  }
}

function sectionShape(node: Section): Schema {
  const properties = Object.fromEntries(Object.entries(node.fields).map(([name, child]) => [name, schemaOf(child)]))
  const map = { type: ['object', 'null'], properties, ...(node.strict && { additionalProperties: false }) }
  if (!node.choice) return map
  const words = Object.entries(node.fields).flatMap(([name, child]) => (isChoice(child) ? [name] : []))
  return { anyOf: [map, { enum: words }] }
}
